use chrono::TimeDelta;
use serde_json::json;

use crate::helpers::{Receiver, Sim, text};

#[tokio::test]
async fn money_is_pending_and_then_available() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let path = format!(
        "/v1/payment_intents/{}?expand[]=latest_charge.balance_transaction",
        text(&intent["id"])
    );
    let charge = sim.get(&path).await.ok()["latest_charge"].clone();
    let transaction = charge["balance_transaction"].clone();
    assert_eq!(transaction["status"], "pending");
    assert_eq!(transaction["source"], charge["id"]);
    assert_eq!(
        (
            &transaction["amount"],
            &transaction["fee"],
            &transaction["net"]
        ),
        (&json!(2500), &json!(103), &json!(2397))
    );
    let created = transaction["created"].as_i64().expect("a time");
    assert_eq!(transaction["available_on"], created + 60);

    sim.config.clock.advance(TimeDelta::seconds(59));
    let path = format!("/v1/balance_transactions/{}", text(&transaction["id"]));
    assert_eq!(sim.get(&path).await.ok()["status"], "pending");
    sim.config.clock.advance(TimeDelta::seconds(1));
    assert_eq!(sim.get(&path).await.ok()["status"], "available");
    let list = sim
        .get(&format!(
            "/v1/balance_transactions?source={}",
            text(&charge["id"])
        ))
        .await
        .ok();
    assert_eq!(list["data"][0]["id"], transaction["id"]);
    assert_eq!(list["data"][0]["status"], "available");
}

#[tokio::test]
async fn an_asynchronous_capture_is_booked_with_charge_updated() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let intent = sim.intent("automatic_async").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    receiver.next().await;
    let succeeded = receiver.next().await.event();
    assert_eq!(succeeded["type"], "charge.succeeded");
    assert_eq!(
        succeeded["data"]["object"]["balance_transaction"],
        json!(null)
    );
    assert_eq!(receiver.next().await.kind(), "payment_intent.succeeded");
    let updated = receiver.next().await.event();
    assert_eq!(updated["type"], "charge.updated");
    assert_eq!(
        updated["data"]["previous_attributes"],
        json!({ "balance_transaction": null })
    );
    let id = text(&updated["data"]["object"]["balance_transaction"]).to_owned();
    assert_eq!(
        sim.get(&format!("/v1/balance_transactions/{id}"))
            .await
            .ok()["amount"],
        2500
    );
    assert_eq!(sim.charges().await.len(), 1);
}

#[tokio::test]
async fn a_partial_capture_books_what_was_captured() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let intent = sim.intent("manual").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    sim.act(&intent, "capture", &[("amount_to_capture", "1000")])
        .await
        .ok();
    let kinds = receiver.kinds(6).await;
    assert_eq!(
        kinds,
        [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.amount_capturable_updated",
            "charge.captured",
            "payment_intent.succeeded",
            "charge.updated",
        ]
    );
    let list = sim.get("/v1/balance_transactions").await.ok();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["data"][0]["amount"], 1000);
}
