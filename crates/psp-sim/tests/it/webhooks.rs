use psp_sim::Config;
use serde_json::json;

use crate::helpers::{Receiver, Sim, WEBHOOK_SECRET, config, text};

#[tokio::test]
async fn webhooks_are_signed_over_their_exact_bytes() {
    let mut receiver = Receiver::start().await;
    let secrets = format!("{WEBHOOK_SECRET},whsec_next");
    let url = Some(receiver.url.clone());
    let sim = Sim::with(Config {
        webhook_secret: secrets,
        webhook_url: url,
        ..config()
    })
    .await;
    sim.intent("automatic").await;
    let delivery = receiver.next().await;
    let now = sim.config.clock.now().timestamp();
    assert_eq!(delivery.signed_at(WEBHOOK_SECRET), Some(now));
    assert_eq!(delivery.signed_at("whsec_next"), Some(now));
    assert_eq!(delivery.signed_at("whsec_other"), None);
}

#[tokio::test]
async fn an_event_holds_the_object_as_it_was() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let form = [
        ("amount", "2500"),
        ("currency", "usd"),
        ("capture_method", "automatic"),
    ];
    let intent = sim
        .post_with_key("pay:1", "/v1/payment_intents", &form)
        .await
        .ok();
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let created = receiver.next().await.event();
    assert_eq!(created["object"], "event");
    assert_eq!(created["type"], "payment_intent.created");
    assert_eq!(created["request"]["idempotency_key"], "pay:1");
    assert_eq!(created["data"]["object"], intent);
    let charge = receiver.next().await.event();
    assert_eq!(charge["type"], "charge.succeeded");
    assert_eq!(charge["data"]["object"]["object"], "charge");
    let succeeded = receiver.next().await.event();
    assert_eq!(succeeded["type"], "payment_intent.succeeded");
    assert_eq!(succeeded["data"]["object"], sim.reload(&intent).await);
    assert_eq!(succeeded["request"]["idempotency_key"], json!(null));
}

#[tokio::test]
async fn every_outcome_has_its_events_in_order() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_chargeDeclined")
        .await
        .refusal(402);
    sim.confirm(&intent, "pm_card_authenticationRequired")
        .await
        .ok();
    sim.act(&intent, "cancel", &[]).await.ok();
    assert_eq!(
        receiver.kinds(5).await,
        [
            "payment_intent.created",
            "charge.failed",
            "payment_intent.payment_failed",
            "payment_intent.requires_action",
            "payment_intent.canceled",
        ]
    );
    let waiting = sim.intent("automatic").await;
    sim.confirm(&waiting, "pm_usBankAccount_processing")
        .await
        .ok();
    assert_eq!(
        receiver.kinds(2).await,
        ["payment_intent.created", "payment_intent.processing"]
    );
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_with_the_same_id() {
    let mut receiver = Receiver::answering([500, 302, 404]).await;
    let sim = Sim::telling(&receiver).await;
    let intent = sim.intent("automatic").await;
    let first = receiver.next().await;
    sim.config.clock.advance(chrono::TimeDelta::seconds(5));
    for _ in 0..3 {
        let again = receiver.next().await;
        assert_eq!(again.id(), first.id());
        assert_eq!(again.body, first.body);
        let late = again
            .signed_at(WEBHOOK_SECRET)
            .zip(first.signed_at(WEBHOOK_SECRET));
        assert!(
            late.is_some_and(|(again, first)| again == first + 5),
            "signed anew"
        );
    }
    sim.until_idle().await;
    let path = format!("/_sim/events?payment_intent={}", text(&intent["id"]));
    let deliveries = sim.get(&path).await.ok();
    assert_eq!(deliveries["data"][0]["attempts"], 4);
    assert_eq!(deliveries["data"][0]["last_status"], 200);
    assert!(receiver.is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_away_gets_everything_when_it_is_back() {
    let reserved = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let url = format!(
        "http://{}/hook",
        reserved.local_addr().expect("its address")
    );
    let sim = Sim::with(Config {
        webhook_url: Some(url),
        ..config()
    })
    .await;
    let intent = sim.intent("automatic").await;
    drop(reserved);
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let receiver = Receiver::start().await;
    let url = Some(receiver.url.clone());
    sim.stop().await;
    let sim = Sim::with(Config {
        webhook_url: url,
        ..sim.config.clone()
    })
    .await;
    sim.until_idle().await;
    assert_eq!(sim.events(&intent).await.len(), 3);
}

#[tokio::test]
async fn a_pause_holds_events_and_resume_sends_them_in_order() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    assert_eq!(
        sim.sim("webhooks/pause", &json!({})).await.ok()["paused"],
        true
    );
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    assert_eq!(
        sim.get("/_sim/idle").await.ok(),
        json!({ "undelivered": 3 })
    );
    assert!(receiver.is_empty());
    assert_eq!(
        sim.sim("webhooks/resume", &json!({})).await.ok()["paused"],
        false
    );
    let kinds = receiver.kinds(3).await;
    assert_eq!(
        kinds,
        [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded"
        ]
    );
}

#[tokio::test]
async fn a_resent_event_goes_out_at_once_even_during_a_pause() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    sim.sim("webhooks/pause", &json!({})).await.ok();
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let mut events = sim.events(&intent).await;
    events.reverse();
    for (id, kind) in &events {
        let sent = sim
            .sim(&format!("events/{id}/resend"), &json!({}))
            .await
            .ok();
        assert_eq!(
            sent,
            json!({ "id": id, "type": kind, "delivered": true, "status": 200, "error": null })
        );
        assert_eq!(&receiver.next().await.id(), id);
    }
    receiver.answer(&[503]);
    let again = sim
        .sim(&format!("events/{}/resend", events[0].0), &json!({}))
        .await
        .ok();
    assert_eq!(
        (&again["delivered"], &again["status"]),
        (&json!(false), &json!(503))
    );
    receiver.next().await;
    sim.sim("webhooks/resume", &json!({})).await.ok();
    let later = sim.intent("automatic").await;
    let next = receiver.next().await;
    assert_eq!(
        next.event()["data"]["object"]["id"],
        later["id"],
        "what was acknowledged is not sent again"
    );
}

#[tokio::test]
async fn only_the_types_that_the_endpoint_asked_for_are_sent() {
    let mut receiver = Receiver::start().await;
    let url = Some(receiver.url.clone());
    let events = vec!["payment_intent.succeeded".to_owned()];
    let sim = Sim::with(Config {
        webhook_url: url,
        webhook_events: events,
        ..config()
    })
    .await;
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    assert_eq!(receiver.next().await.kind(), "payment_intent.succeeded");
    sim.until_idle().await;
    assert!(receiver.is_empty());
    assert_eq!(
        sim.events(&intent).await.len(),
        3,
        "the others can still be listed"
    );
}

#[tokio::test]
async fn many_intents_are_told_of_in_their_own_order() {
    const INTENTS: usize = 100;
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    futures::future::join_all((0..INTENTS).map(|_| async {
        let intent = sim.intent("automatic").await;
        sim.confirm(&intent, "pm_card_visa").await.ok();
    }))
    .await;
    let mut kinds = std::collections::HashMap::<String, Vec<String>>::new();
    for _ in 0..3 * INTENTS {
        let event = receiver.next().await.event();
        let object = &event["data"]["object"];
        let intent = if object["object"] == "charge" {
            &object["payment_intent"]
        } else {
            &object["id"]
        };
        kinds
            .entry(text(intent).to_owned())
            .or_default()
            .push(text(&event["type"]).to_owned());
    }
    assert_eq!(kinds.len(), INTENTS);
    let order = [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ];
    assert!(kinds.values().all(|kinds| *kinds == order));
}
