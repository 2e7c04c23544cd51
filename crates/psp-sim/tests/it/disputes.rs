use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::helpers::{Receiver, Sim, text};

async fn complain(sim: &Sim, charge: &str, how: &Value) -> Value {
    let control = format!("charges/{charge}/dispute");
    sim.sim(&control, how).await.ok()
}

fn nets(dispute: &Value) -> Vec<i64> {
    let entries = dispute["balance_transactions"].as_array().expect("a list");
    entries
        .iter()
        .map(|entry| entry["net"].as_i64().expect("a number"))
        .collect()
}

async fn rule(sim: &Sim, dispute: &Value, status: &str) -> Value {
    let control = format!("disputes/{}", text(&dispute["id"]));
    sim.sim(&control, &json!({ "status": status })).await.ok()
}

#[tokio::test]
async fn a_disputed_card_is_charged_back_a_little_later() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let (intent, charge) = sim.paid("pm_card_createDispute").await;
    receiver.kinds(3).await;
    sim.config.clock.advance(TimeDelta::seconds(60));
    assert_eq!(
        receiver.kinds(2).await,
        ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    );
    let path = format!("/v1/disputes?payment_intent={}", text(&intent["id"]));
    let dispute = sim.get(&path).await.ok()["data"][0].clone();
    assert_eq!(
        (&dispute["status"], &dispute["reason"], &dispute["charge"]),
        (
            &json!("needs_response"),
            &json!("fraudulent"),
            &json!(charge)
        )
    );
    assert_eq!(dispute["is_charge_refundable"], false);
    let created = dispute["created"].as_i64().expect("a time");
    let due = dispute["evidence_details"]["due_by"].as_i64();
    assert!(due.is_some_and(|due| due > created));
    assert_eq!(nets(&dispute), [-2500 - 1500]);
    let shown = sim.get(&format!("/v1/charges/{charge}")).await.ok();
    assert_eq!(shown["disputed"], true);
    assert_eq!(sim.ledger().await["totals"]["usd"]["disputed"], 2500);
}

#[tokio::test]
async fn a_dispute_that_is_won_gives_the_money_back_without_the_fee() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let (_, charge) = sim.paid("pm_card_visa").await;
    let dispute = complain(&sim, &charge, &json!({})).await;
    receiver.kinds(5).await;
    let path = format!("/v1/disputes/{}", text(&dispute["id"]));
    let staged = [
        ("evidence[product_description]", "a gift"),
        ("submit", "false"),
    ];
    let staged = sim.post(&path, &staged).await.ok();
    assert_eq!(staged["status"], "needs_response");
    assert_eq!(staged["evidence"]["product_description"], "a gift");
    let words = [("evidence[uncategorized_text]", "winning_evidence")];
    let sent = sim.post(&path, &words).await.ok();
    assert_eq!(sent["status"], "under_review");
    assert_eq!(sent["evidence_details"]["submission_count"], json!(1));
    assert_eq!(
        receiver.kinds(2).await,
        ["charge.dispute.updated", "charge.dispute.updated"]
    );
    sim.config.clock.advance(TimeDelta::seconds(60));
    assert_eq!(
        receiver.kinds(2).await,
        ["charge.dispute.funds_reinstated", "charge.dispute.closed"]
    );
    let won = sim.get(&path).await.ok();
    assert_eq!(won["status"], "won");
    assert_eq!(nets(&won), [-4000, 2500]);
    assert_eq!(sim.ledger().await["totals"]["usd"]["disputed"], 0);
}

#[tokio::test]
async fn a_dispute_is_lost_by_its_verdict_by_giving_in_and_by_silence() {
    let sim = Sim::start().await;
    let mut disputes = Vec::new();
    for _ in 0..3 {
        let (_, charge) = sim.paid("pm_card_visa").await;
        disputes.push(complain(&sim, &charge, &json!({})).await);
    }
    rule(&sim, &disputes[0], "lost").await;
    let path = format!("/v1/disputes/{}/close", text(&disputes[1]["id"]));
    assert_eq!(sim.post(&path, &[]).await.ok()["status"], "lost");
    sim.post(&path, &[]).await.refusal(400);
    sim.config.clock.advance(TimeDelta::days(9));
    sim.until("all are lost", async || {
        let list = sim.get("/v1/disputes").await.ok();
        let data = list["data"].as_array().expect("a list");
        data.iter().all(|it| it["status"] == "lost")
    })
    .await;
    let totals = &sim.ledger().await["totals"]["usd"];
    assert_eq!(totals["disputed"], 7500);
}

#[tokio::test]
async fn an_inquiry_moves_no_money_until_it_becomes_a_chargeback() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let (intent, charge) = sim.paid("pm_card_createDisputeInquiry").await;
    receiver.kinds(3).await;
    sim.config.clock.advance(TimeDelta::seconds(60));
    let created = receiver.next().await.event();
    assert_eq!(created["type"], "charge.dispute.created");
    let inquiry = &created["data"]["object"];
    assert_eq!(inquiry["status"], "warning_needs_response");
    assert_eq!(inquiry["is_charge_refundable"], true);
    assert!(nets(inquiry).is_empty());
    let part = [("charge", charge.as_str()), ("amount", "500")];
    sim.post("/v1/refunds", &part).await.ok();
    receiver.kinds(2).await;

    let risen = rule(&sim, inquiry, "needs_response").await;
    assert_eq!(nets(&risen), [-4000]);
    assert_eq!(
        receiver.kinds(2).await,
        ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]
    );
    let form = [("payment_intent", text(&intent["id"]))];
    let error = sim.post("/v1/refunds", &form).await.refusal(400);
    assert_eq!(error["code"], "charge_disputed");
}

#[tokio::test]
async fn a_full_refund_ends_an_inquiry() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let (_, charge) = sim.paid("pm_card_visa").await;
    let asked = json!({ "status": "warning_needs_response", "reason": "general" });
    complain(&sim, &charge, &asked).await;
    receiver.kinds(4).await;
    sim.post("/v1/refunds", &[("charge", &charge)]).await.ok();
    assert_eq!(
        receiver.kinds(3).await,
        ["refund.created", "charge.refunded", "charge.dispute.closed"]
    );
    let list = sim.get("/v1/disputes").await.ok();
    assert_eq!(list["data"][0]["status"], "warning_closed");
}

#[tokio::test]
async fn evidence_decides_an_inquiry_as_stripes_magic_words_say() {
    let sim = Sim::start().await;
    for (words, verdict) in [
        ("winning_evidence", "warning_closed"),
        ("escalate_inquiry_evidence", "needs_response"),
    ] {
        let (_, charge) = sim.paid("pm_card_visa").await;
        let asked = json!({ "status": "warning_needs_response" });
        let dispute = complain(&sim, &charge, &asked).await;
        let path = format!("/v1/disputes/{}", text(&dispute["id"]));
        let form = [("evidence[uncategorized_text]", words)];
        let sent = sim.post(&path, &form).await.ok();
        assert_eq!(sent["status"], "warning_under_review");
        sim.config.clock.advance(TimeDelta::seconds(60));
        let of = format!("/v1/disputes?charge={charge}");
        sim.awaited(&of, "status", verdict).await;
    }
}

#[tokio::test]
async fn a_dispute_begins_with_any_status() {
    let sim = Sim::start().await;
    for (status, moved) in [
        ("warning_needs_response", vec![]),
        ("warning_under_review", vec![]),
        ("warning_closed", vec![]),
        ("needs_response", vec![-2500]),
        ("under_review", vec![-2500]),
        ("won", vec![-2500, 1000]),
        ("lost", vec![-2500]),
        ("prevented", vec![]),
    ] {
        let (_, charge) = sim.paid("pm_card_visa").await;
        let how = json!({ "status": status, "amount": 1000 });
        let dispute = complain(&sim, &charge, &how).await;
        assert_eq!(dispute["status"], status);
        assert_eq!(nets(&dispute), moved, "{status}");
    }
}

#[tokio::test]
async fn impossible_disputes_are_refused() {
    let sim = Sim::start().await;
    let held = sim.intent("manual").await;
    sim.confirm(&held, "pm_card_visa").await.ok();
    let held = sim.reload(&held).await;
    let control = format!("charges/{}/dispute", text(&held["latest_charge"]));
    sim.sim(&control, &json!({})).await.refusal(400);
    sim.sim("charges/ch_unknown/dispute", &json!({}))
        .await
        .refusal(404);
    let (_, charge) = sim.paid("pm_card_visa").await;
    let control = format!("charges/{charge}/dispute");
    let too_much = json!({ "amount": 2501 });
    sim.sim(&control, &too_much).await.refusal(400);
    let dispute = complain(&sim, &charge, &json!({})).await;
    sim.sim(&control, &json!({})).await.refusal(400);
    let path = format!("/v1/disputes/{}", text(&dispute["id"]));
    let error = sim
        .post(&path, &[("evidence[mood]", "good")])
        .await
        .refusal(400);
    assert_eq!(error["param"], "evidence[mood]");
    rule(&sim, &dispute, "won").await;
    let again = format!("disputes/{}", text(&dispute["id"]));
    sim.sim(&again, &json!({ "status": "lost" }))
        .await
        .refusal(400);
    sim.get("/v1/disputes/du_unknown").await.refusal(404);
}

#[tokio::test]
async fn refunds_and_disputes_come_back_after_a_restart() {
    let sim = Sim::start().await;
    let (_, charge) = sim.paid("pm_card_visa").await;
    let part = [("charge", charge.as_str()), ("amount", "500")];
    sim.post("/v1/refunds", &part).await.ok();
    complain(&sim, &charge, &json!({})).await;
    let paths = [
        "/v1/refunds",
        "/v1/disputes",
        "/v1/balance_transactions",
        "/v1/balance",
        "/v1/events?limit=100",
        "/_sim/ledger",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(sim.get(path).await.text);
    }
    let sim = sim.restart().await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(sim.get(path).await.text, before, "{path}");
    }
}
