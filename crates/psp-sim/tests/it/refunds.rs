use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::helpers::{Receiver, Sim, text};

async fn refund(sim: &Sim, intent: &Value, amount: &str) -> Value {
    let form = [
        ("payment_intent", text(&intent["id"])),
        ("amount", amount),
        ("metadata[refund_id]", "re-1"),
    ];
    sim.post("/v1/refunds", &form).await.ok()
}

async fn transactions(sim: &Sim, source: &Value) -> Vec<(String, i64)> {
    let path = format!("/v1/balance_transactions?source={}", text(source));
    let list = sim.get(&path).await.ok();
    let entry = |it: &Value| {
        let net = it["net"].as_i64().expect("a number");
        (text(&it["type"]).to_owned(), net)
    };
    list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(entry)
        .collect()
}

#[tokio::test]
async fn money_is_given_back_in_parts_and_never_more_than_was_captured() {
    let sim = Sim::start().await;
    let (intent, charge) = sim.paid("pm_card_visa").await;
    let first = refund(&sim, &intent, "1000").await;
    assert_eq!(first["object"], "refund");
    assert_eq!(
        (&first["status"], &first["amount"], &first["charge"]),
        (&json!("succeeded"), &json!(1000), &json!(charge))
    );
    assert_eq!(first["metadata"], json!({ "refund_id": "re-1" }));
    let entries = transactions(&sim, &first["id"]).await;
    assert_eq!(entries, [("refund".to_owned(), -1000)]);

    let too_much = [("charge", charge.as_str()), ("amount", "1501")];
    let error = sim.post("/v1/refunds", &too_much).await.refusal(400);
    let message = text(&error["message"]);
    assert!(
        message.contains("greater than unrefunded amount"),
        "{message}"
    );
    assert_eq!(error["param"], "amount");

    let rest = sim.post("/v1/refunds", &[("charge", &charge)]).await.ok();
    assert_eq!(rest["amount"], 1500);
    let shown = sim.get(&format!("/v1/charges/{charge}")).await.ok();
    assert_eq!(
        (&shown["amount_refunded"], &shown["refunded"]),
        (&json!(2500), &json!(true))
    );
    let error = sim
        .post("/v1/refunds", &[("charge", &charge)])
        .await
        .refusal(400);
    assert_eq!(error["code"], "charge_already_refunded");
    assert_eq!(sim.ledger().await["totals"]["usd"]["refunded"], 2500);
}

#[tokio::test]
async fn twenty_simultaneous_refunds_give_back_once() {
    let sim = Sim::start().await;
    let (intent, _) = sim.paid("pm_card_visa").await;
    let form = [("payment_intent", text(&intent["id"])), ("amount", "2000")];
    let answers = join_all((0..20).map(|_| sim.post("/v1/refunds", &form))).await;
    let given = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(given.count(), 1);
    assert_eq!(sim.ledger().await["totals"]["usd"]["refunded"], 2000);
}

#[tokio::test]
async fn one_key_is_one_refund_and_two_keys_are_two() {
    let sim = Sim::start().await;
    let (intent, _) = sim.paid("pm_card_visa").await;
    let form = [("payment_intent", text(&intent["id"])), ("amount", "500")];
    let first = sim.post_with_key("refund:1", "/v1/refunds", &form).await;
    let again = sim.post_with_key("refund:1", "/v1/refunds", &form).await;
    let other = sim.post_with_key("refund:2", "/v1/refunds", &form).await;
    assert_eq!(first.text, again.text);
    assert!(again.replayed() && !other.replayed());
    assert_ne!(first.json()["id"], other.json()["id"]);
    let path = format!("/v1/refunds?payment_intent={}", text(&intent["id"]));
    let list = sim.get(&path).await.ok();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_refund_has_its_events_and_they_hold_the_objects_as_they_were() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let (intent, charge) = sim.paid("pm_card_visa").await;
    receiver.kinds(3).await;
    let made = refund(&sim, &intent, "1000").await;
    let created = receiver.next().await.event();
    assert_eq!(created["type"], "refund.created");
    assert_eq!(created["data"]["object"], made);
    let refunded = receiver.next().await.event();
    assert_eq!(refunded["type"], "charge.refunded");
    assert_eq!(refunded["data"]["object"]["id"], json!(charge));
    assert_eq!(refunded["data"]["object"]["amount_refunded"], 1000);
}

#[tokio::test]
async fn a_pending_refund_succeeds_later() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let (intent, _) = sim.paid("pm_card_pendingRefund").await;
    let pending = refund(&sim, &intent, "2500").await;
    assert_eq!(pending["status"], "pending");
    receiver.kinds(5).await;
    sim.config.clock.advance(TimeDelta::seconds(60));
    let updated = receiver.next().await.event();
    assert_eq!(updated["type"], "refund.updated");
    assert_eq!(updated["data"]["object"]["status"], "succeeded");
}

#[tokio::test]
async fn a_refund_that_fails_later_is_money_that_came_back() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let (intent, charge) = sim.paid("pm_card_refundFail").await;
    let made = refund(&sim, &intent, "2500").await;
    assert_eq!(made["status"], "succeeded");
    receiver.kinds(5).await;
    sim.config.clock.advance(TimeDelta::seconds(60));
    assert_eq!(receiver.kinds(2).await, ["refund.updated", "refund.failed"]);
    let path = format!("/v1/refunds/{}", text(&made["id"]));
    let failed = sim.get(&path).await.ok();
    assert_eq!(
        (&failed["status"], &failed["failure_reason"]),
        (&json!("failed"), &json!("unknown"))
    );
    assert_eq!(
        transactions(&sim, &made["id"]).await,
        [
            ("refund_failure".to_owned(), 2500),
            ("refund".to_owned(), -2500)
        ]
    );
    let shown = sim.get(&format!("/v1/charges/{charge}")).await.ok();
    assert_eq!(
        (&shown["amount_refunded"], &shown["refunded"]),
        (&json!(0), &json!(false))
    );
    refund(&sim, &intent, "2500").await;
}

#[tokio::test]
async fn a_control_makes_any_refund_fail_even_weeks_later_and_across_a_restart() {
    let sim = Sim::start().await;
    let (intent, _) = sim.paid("pm_card_visa").await;
    let made = refund(&sim, &intent, "1000").await;
    let control = format!("refunds/{}", text(&made["id"]));
    let weeks = TimeDelta::weeks(3);
    let later = json!({ "status": "failed", "after_ms": weeks.num_milliseconds() });
    assert_eq!(
        sim.sim(&control, &later).await.ok()["status"],
        "succeeded",
        "not yet"
    );
    let sim = sim.restart().await;
    sim.config.clock.advance(weeks);
    sim.awaited("/v1/refunds", "status", "failed").await;

    let over = json!({ "status": "succeeded" });
    sim.sim(&control, &over).await.refusal(400);
    let unknown = json!({ "status": "failed" });
    sim.sim("refunds/re_unknown", &unknown).await.refusal(404);
    sim.sim(&control, &json!({ "status": "lost" }))
        .await
        .refusal(400);
}

#[tokio::test]
async fn a_refund_that_waits_for_the_payer_can_be_canceled() {
    let sim = Sim::start().await;
    let (intent, _) = sim.paid("pm_card_pendingRefund").await;
    let made = refund(&sim, &intent, "1000").await;
    let path = format!("/v1/refunds/{}", text(&made["id"]));
    sim.post(&format!("{path}/cancel"), &[]).await.refusal(400);
    let control = format!("refunds/{}", text(&made["id"]));
    let waits = json!({ "status": "requires_action" });
    sim.sim(&control, &waits).await.ok();
    let canceled = sim.post(&format!("{path}/cancel"), &[]).await.ok();
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(sim.ledger().await["totals"]["usd"]["refunded"], 0);
    let noted = sim.post(&path, &[("metadata[why]", "asked")]).await.ok();
    assert_eq!(
        noted["metadata"],
        json!({ "refund_id": "re-1", "why": "asked" })
    );
}

#[tokio::test]
async fn what_was_not_captured_cannot_be_refunded() {
    let sim = Sim::start().await;
    let held = sim.intent("manual").await;
    sim.confirm(&held, "pm_card_visa").await.ok();
    let declined = sim.intent("automatic").await;
    sim.confirm(&declined, "pm_card_chargeDeclined")
        .await
        .refusal(402);
    for intent in [&held, &declined] {
        let form = [("payment_intent", text(&intent["id"]))];
        sim.post("/v1/refunds", &form).await.refusal(400);
    }
    let unknown = [("payment_intent", "pi_unknown")];
    let error = sim.post("/v1/refunds", &unknown).await.refusal(404);
    assert_eq!(error["code"], "resource_missing");
    sim.post("/v1/refunds", &[("charge", "ch_unknown")])
        .await
        .refusal(404);
    let error = sim.post("/v1/refunds", &[]).await.refusal(400);
    assert_eq!(error["code"], "parameter_missing");
    let (paid, _) = sim.paid("pm_card_visa").await;
    for (name, value) in [
        ("amount", "0"),
        ("amount", "x"),
        ("reason", "mood"),
        ("to", "me"),
    ] {
        let form = [("payment_intent", text(&paid["id"])), (name, value)];
        sim.post("/v1/refunds", &form).await.refusal(400);
    }
}

#[tokio::test]
async fn a_charge_that_failed_before_the_one_that_paid_is_not_refunded() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    let error = sim
        .confirm(&intent, "pm_card_chargeDeclined")
        .await
        .refusal(402);
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let form = [("charge", text(&error["charge"]))];
    sim.post("/v1/refunds", &form).await.refusal(400);
    assert_eq!(sim.ledger().await["totals"]["usd"]["refunded"], 0);
}
