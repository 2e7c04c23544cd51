use std::time::Duration;

use chrono::TimeDelta;
use psp_sim::{Config, Rules};
use serde_json::{Value, json};

use crate::helpers::{Receiver, Sim, config, text};

async fn held(sim: &Sim) -> (Value, String) {
    let intent = sim.intent("manual").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let held = sim.reload(&intent).await;
    let charge = text(&held["latest_charge"]).to_owned();
    (held, charge)
}

async fn charge(sim: &Sim, id: &str) -> Value {
    sim.get(&format!("/v1/charges/{id}")).await.ok()
}

#[tokio::test]
async fn a_hold_says_until_when_it_can_be_captured() {
    let sim = Sim::start().await;
    let (intent, id) = held(&sim).await;
    let shown = charge(&sim, &id).await;
    let until = &shown["payment_method_details"]["card"]["capture_before"];
    let created = shown["created"].as_i64().expect("a time");
    assert_eq!(*until, created + 7 * 24 * 3600);
    assert_eq!(
        (&shown["captured"], &shown["refunded"]),
        (&json!(false), &json!(false))
    );
    sim.act(&intent, "capture", &[]).await.ok();
    let card = &charge(&sim, &id).await["payment_method_details"]["card"];
    assert!(card.get("capture_before").is_none());
}

#[tokio::test]
async fn a_hold_that_nobody_captures_in_time_is_released() {
    let mut receiver = Receiver::start().await;
    let rules = Rules {
        hold: Duration::from_hours(1),
        ..Rules::default()
    };
    let sim = Sim::with(Config {
        rules,
        webhook_url: Some(receiver.url.clone()),
        ..config()
    })
    .await;
    let (intent, id) = held(&sim).await;
    receiver.kinds(3).await;
    sim.config.clock.advance(TimeDelta::seconds(3599));
    assert_eq!(sim.reload(&intent).await["status"], "requires_capture");
    sim.config.clock.advance(TimeDelta::seconds(1));
    assert_eq!(
        receiver.kinds(2).await,
        ["charge.expired", "payment_intent.canceled"]
    );
    let canceled = sim.reload(&intent).await;
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(canceled["cancellation_reason"], "expired");
    assert_eq!(canceled["amount_capturable"], 0);
    let released = charge(&sim, &id).await;
    assert_eq!(
        (&released["amount_captured"], &released["amount_refunded"]),
        (&json!(0), &json!(0))
    );
    let error = sim.act(&intent, "capture", &[]).await.refusal(400);
    assert_eq!(error["code"], "payment_intent_unexpected_state");
}

#[tokio::test]
async fn a_capture_in_the_second_of_the_end_comes_too_late() {
    let sim = Sim::start().await;
    let (intent, _) = held(&sim).await;
    sim.config.clock.advance(TimeDelta::days(7));
    sim.act(&intent, "capture", &[]).await.refusal(400);
    assert_eq!(sim.reload(&intent).await["status"], "canceled");
    assert_eq!(sim.ledger().await["totals"]["usd"]["captured"], 0);
}

#[tokio::test]
async fn a_hold_that_ended_during_a_restart_is_released_after_it() {
    let sim = Sim::start().await;
    let (intent, _) = held(&sim).await;
    sim.stop().await;
    sim.config.clock.advance(TimeDelta::days(8));
    let sim = sim.restart().await;
    sim.until("the hold is released", async || {
        sim.reload(&intent).await["status"] == "canceled"
    })
    .await;
}

#[tokio::test]
async fn neither_a_partial_capture_nor_a_void_shows_as_a_refund() {
    let sim = Sim::start().await;
    let (part, part_charge) = held(&sim).await;
    let amount = [("amount_to_capture", "1000")];
    sim.act(&part, "capture", &amount).await.ok();
    let (void, void_charge) = held(&sim).await;
    sim.act(&void, "cancel", &[]).await.ok();
    for (id, captured) in [(part_charge, 1000), (void_charge, 0)] {
        let shown = charge(&sim, &id).await;
        assert_eq!(shown["amount_captured"], captured);
        assert_eq!(
            (&shown["amount_refunded"], &shown["refunded"]),
            (&json!(0), &json!(false))
        );
    }
    let refunds = sim.get("/v1/refunds").await.ok();
    assert_eq!(refunds["data"], json!([]));
}
