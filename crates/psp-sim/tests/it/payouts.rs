use std::time::Duration;

use chrono::TimeDelta;
use psp_sim::{Config, Rules};
use serde_json::{Value, json};

use crate::helpers::{Receiver, Sim, config, text};

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().expect("a list");
    data.iter()
        .map(|item| text(&item["id"]).to_owned())
        .collect()
}

#[tokio::test]
async fn the_balance_is_pending_then_available_then_paid_out() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let (_, charge) = sim.paid("pm_card_visa").await;
    sim.post(
        "/v1/refunds",
        &[("charge", charge.as_str()), ("amount", "500")],
    )
    .await
    .ok();
    let balance = sim.get("/v1/balance").await.ok();
    assert_eq!(balance["pending"][0]["amount"], 2397);
    assert_eq!(balance["available"][0]["amount"], -500);
    let none = sim.sim("payouts", &json!({})).await.ok();
    assert_eq!(none["data"], json!([]), "nothing to pay out");

    sim.config.clock.advance(TimeDelta::seconds(60));
    let balance = sim.get("/v1/balance").await.ok();
    assert_eq!(balance["available"][0]["amount"], 1897);
    receiver.kinds(5).await;
    let made = sim.sim("payouts", &json!({})).await.ok()["data"][0].clone();
    assert_eq!(
        (&made["amount"], &made["status"], &made["automatic"]),
        (&json!(1897), &json!("pending"), &json!(false))
    );
    assert_eq!(made["reconciliation_status"], "not_applicable");
    let created = receiver.next().await.event();
    assert_eq!(created["type"], "payout.created");
    assert_eq!(created["data"]["object"], made);
    let empty = sim.get("/v1/balance").await.ok();
    assert_eq!(empty["available"][0]["amount"], 0);

    sim.config.clock.advance(TimeDelta::seconds(60));
    assert_eq!(receiver.next().await.kind(), "payout.paid");
    let path = format!("/v1/payouts/{}", text(&made["id"]));
    assert_eq!(sim.get(&path).await.ok()["status"], "paid");
}

#[tokio::test]
async fn a_payout_lists_exactly_what_it_pays_out() {
    let sim = Sim::start().await;
    sim.paid("pm_card_visa").await;
    sim.paid("pm_card_visa").await;
    sim.config.clock.advance(TimeDelta::seconds(60));
    let (_, late) = sim.paid("pm_card_visa").await;
    let order = json!({ "currency": "usd", "automatic": true });
    let made = sim.sim("payouts", &order).await.ok();
    let payout = &made["data"][0];
    let path = format!(
        "/v1/balance_transactions?payout={}&limit=100",
        text(&payout["id"])
    );
    let list = sim.get(&path).await.ok();
    let data = list["data"].as_array().expect("a list");
    assert_eq!(data.len(), 3, "two charges and the payout itself");
    assert!(data.iter().all(|it| it["source"] != json!(late)));
    let net: i64 = data.iter().filter_map(|it| it["net"].as_i64()).sum();
    assert_eq!(net, 0, "the payout is what its transactions sum up to");
    let kinds = sim.get(&format!("{path}&type=charge")).await.ok();
    assert_eq!(ids(&kinds).len(), 2);
    assert_eq!(payout["amount"], 2 * 2397);

    sim.config.clock.advance(TimeDelta::seconds(60));
    let next = sim.sim("payouts", &json!({})).await.ok();
    assert_eq!(next["data"][0]["amount"], 2397, "nothing is paid out twice");
    let by_hand = format!(
        "/v1/balance_transactions?payout={}",
        text(&next["data"][0]["id"])
    );
    let refusal = sim.get(&by_hand).await.refusal(400);
    assert_eq!(refusal["type"], "invalid_request_error");
    let sim = sim.restart().await;
    assert_eq!(ids(&sim.get(&path).await.ok()), ids(&list));
    let paid = sim.get("/v1/payouts?status=paid").await.ok();
    let pending = sim.get("/v1/payouts?status=pending").await.ok();
    assert_eq!(ids(&paid).len() + ids(&pending).len(), 2);
}

#[tokio::test]
async fn a_payout_that_fails_comes_back_and_is_paid_out_by_a_later_one() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    sim.paid("pm_card_visa").await;
    sim.config.clock.advance(TimeDelta::seconds(60));
    receiver.kinds(3).await;
    let later = json!({ "automatic": true, "arrives_after_ms": 3_600_000 });
    let made = sim.sim("payouts", &later).await.ok()["data"][0].clone();
    assert_eq!(
        (&made["status"], &made["reconciliation_status"]),
        (&json!("pending"), &json!("in_progress"))
    );
    let control = format!("payouts/{}", text(&made["id"]));
    let paid = sim.sim(&control, &json!({ "status": "paid" })).await.ok();
    assert_eq!(
        (&paid["status"], &paid["reconciliation_status"]),
        (&json!("paid"), &json!("completed"))
    );
    // What the bank has booked it may still send back.
    let failed = sim.sim(&control, &json!({ "status": "failed" })).await.ok();
    assert_eq!(
        (&failed["status"], &failed["failure_code"]),
        (&json!("failed"), &json!("could_not_process"))
    );
    sim.sim(&control, &json!({ "status": "paid" }))
        .await
        .refusal(400);
    assert_eq!(
        receiver.kinds(3).await,
        ["payout.created", "payout.paid", "payout.failed"]
    );
    let back = format!(
        "/v1/balance_transactions/{}",
        text(&failed["failure_balance_transaction"])
    );
    let back = sim.get(&back).await.ok();
    assert_eq!(
        (&back["type"], &back["amount"], &back["source"]),
        (&json!("payout_failure"), &json!(2397), &made["id"])
    );
    let sim = sim.restart().await;
    let listed = sim.get("/v1/payouts?status=failed").await.ok();
    assert_eq!(ids(&listed), [text(&made["id"])]);
    let next = sim.sim("payouts", &later).await.ok()["data"][0].clone();
    let parts = format!(
        "/v1/balance_transactions?type=payout_failure&payout={}",
        text(&next["id"])
    );
    assert_eq!(ids(&sim.get(&parts).await.ok()), [text(&back["id"])]);
}

#[tokio::test]
async fn a_schedule_makes_payouts_by_itself() {
    let rules = Rules {
        payout_every: Duration::from_hours(1),
        ..config().rules
    };
    let sim = Sim::with(Config { rules, ..config() }).await;
    sim.paid("pm_card_visa").await;
    sim.config.clock.advance(TimeDelta::hours(1));
    let made = sim.awaited("/v1/payouts", "automatic", true).await;
    assert_eq!(made["amount"], 2397);
}

#[tokio::test]
async fn fees_follow_the_rules_and_are_rounded_to_the_nearest_unit() {
    let rules = Rules {
        fee_basis_points: 150,
        fee_fixed: 25,
        ..config().rules
    };
    let sim = Sim::with(Config { rules, ..config() }).await;
    for (amount, fee) in [("2500", 63), ("2499", 62), ("100", 27), ("99", 26)] {
        let form = [
            ("amount", amount),
            ("currency", "eur"),
            ("capture_method", "automatic"),
        ];
        let intent = sim.post("/v1/payment_intents", &form).await.ok();
        sim.confirm(&intent, "pm_card_visa").await.ok();
        let list = sim.get("/v1/balance_transactions?limit=1").await.ok();
        assert_eq!(list["data"][0]["fee"], fee, "{amount}");
    }
    let wrong = json!({ "money": "all" });
    sim.sim("payouts", &wrong).await.refusal(400);
    sim.get("/v1/payouts/po_unknown").await.refusal(404);
    sim.get("/v1/payouts?status=lost").await.refusal(400);
}
