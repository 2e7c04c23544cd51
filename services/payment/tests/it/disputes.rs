//! The donor's bank takes money back, or asks whether it should.

use std::time::Duration;

use common::{auth::Role, ids::UserId};
use payment::Cadences;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::{eventually, problem_code, user_token};
use uuid::Uuid;

use crate::{
    bank::admin,
    world::{Plan, World, brisk},
};

async fn with_webhooks() -> World {
    World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await
}

async fn list(world: &World, query: &str) -> Value {
    let request = world
        .service
        .client
        .get(world.service.at(&format!("/api/admin/disputes{query}")));
    let reply = request.bearer_auth(admin()).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    reply.json().await.unwrap()
}

async fn act(world: &World, dispute: &str, what: &str, key: &str, body: &Value) -> Response {
    let path = format!("/api/admin/disputes/{dispute}/{what}");
    let request = world.service.client.post(world.service.at(&path));
    let request = request.bearer_auth(user_token(UserId::from(Uuid::nil()), Role::Admin));
    request
        .header("idempotency-key", key)
        .json(body)
        .send()
        .await
        .unwrap()
}

/// Waits until we know that the dispute stands so.
async fn until(world: &World, dispute: &str, status: &str) -> Value {
    eventually(&format!("{dispute} {status}"), async || {
        let listed = list(world, &format!("?status={status}")).await;
        let all = listed["data"].as_array().unwrap().clone();
        all.into_iter().find(|found| found["id"] == dispute)
    })
    .await
}

#[tokio::test]
async fn a_ruling_that_nobody_ever_tells_of_is_learned() {
    // Without webhooks, and without the list of events, which may lack one for ever.
    let cadences = Cadences {
        sweep_every: Duration::from_hours(1),
        ..brisk()
    };
    let world = World::of(Plan {
        cadences,
        ..Plan::brisk()
    })
    .await;
    let paid = world.paid(2500, "pm_card_visa").await;
    world.until(&paid.gift, "COMPLETED").await;
    let dispute = world.complain(&paid, &json!({})).await;
    world.nudge(&paid).await;
    until(&world, &dispute, "needs_response").await;
    world.rule(&dispute, "lost").await;
    until(&world, &dispute, "lost").await;
    world.until_amounts(&paid, "CAPTURED", 0, 2500).await;
}

fn whole() -> Value {
    json!({})
}

fn good() -> Value {
    json!({"evidence": {"product_description": "a gift to a campaign"}})
}

#[tokio::test]
async fn what_a_bank_takes_is_held_until_the_dispute_is_won_and_then_comes_back() {
    let world = with_webhooks().await;
    let paid = world.paid(10_000, "pm_card_visa").await;
    let dispute = world.complain(&paid, &whole()).await;
    let seen = until(&world, &dispute, "needs_response").await;
    assert_eq!(seen["withdrawn"]["amount"], 10_000);
    assert_eq!(seen["fee"]["amount"], 1_500);
    assert_eq!(seen["payment_id"], json!(paid.gift.payment_id));
    assert_eq!(world.balance("dispute_hold").await, 10_000);
    assert_eq!(world.balance("fees").await, 1_500);
    assert_eq!(world.balance("psp_settled").await, -11_500);
    assert_eq!(
        world.balance("campaign_payable").await,
        -10_000,
        "it still is the campaign's"
    );
    assert_eq!(
        world.amounts(&paid).await,
        ("CAPTURED".to_owned(), 10_000, 0, 0)
    );
    assert_eq!(world.matters("EVIDENCE_DUE").await, [dispute.as_str()]);
    let refused = world.refund(&paid, Some(1)).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(problem_code(refused).await, "dispute_open");
    world.rule(&dispute, "won").await;
    until(&world, &dispute, "won").await;
    assert_eq!(world.balance("dispute_hold").await, 0);
    assert_eq!(
        world.balance("psp_settled").await,
        -1_500,
        "the fee is not returned"
    );
    assert!(world.matters("EVIDENCE_DUE").await.is_empty());
    world.refunded(&paid, None).await;
    world.until_amounts(&paid, "REFUNDED", 10_000, 0).await;
}

#[tokio::test]
async fn refund_60_then_lost_dispute_100_of_100_raises_0() {
    let world = with_webhooks().await;
    let paid = world.paid(100, "pm_card_visa").await;
    world.refunded(&paid, Some(60)).await;
    world.until_amounts(&paid, "CAPTURED", 60, 0).await;
    let dispute = world.complain(&paid, &json!({"amount": 100})).await;
    until(&world, &dispute, "needs_response").await;
    world.rule(&dispute, "lost").await;
    world.until_amounts(&paid, "CAPTURED", 60, 40).await;
    assert_eq!(world.balance("campaign_payable").await, 0);
    assert_eq!(world.balance("platform_loss").await, 60);
    assert_eq!(world.balance("dispute_hold").await, 0);
    assert_eq!(
        world.balance("psp_receivable").await + world.balance("psp_settled").await,
        -60 - 1_500
    );
    let refused = world.refund(&paid, Some(1)).await;
    assert_eq!(problem_code(refused).await, "dispute_open");
}

#[tokio::test]
async fn a_refund_that_fails_after_a_lost_dispute_leaves_the_campaign_at_0() {
    let world = with_webhooks().await;
    let paid = world.paid(100, "pm_card_visa").await;
    world.refunded(&paid, Some(60)).await;
    let refunds = world.until_refunds(&paid, &["SUCCEEDED"]).await;
    let dispute = world.complain(&paid, &json!({"amount": 100})).await;
    world.rule(&dispute, "lost").await;
    world.until_amounts(&paid, "CAPTURED", 60, 40).await;
    world
        .settle(refunds[0]["psp_refund"].as_str().unwrap(), "failed")
        .await;
    world.until_amounts(&paid, "CAPTURED", 0, 100).await;
    assert_eq!(world.balance("campaign_payable").await, 0);
    assert_eq!(world.balance("platform_loss").await, 0);
    assert_eq!(world.balance("dispute_hold").await, 0);
}

#[tokio::test]
async fn an_inquiry_takes_nothing_and_leaves_refunds_open() {
    let world = with_webhooks().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let inquiry = world
        .complain(&paid, &json!({"status": "warning_needs_response"}))
        .await;
    until(&world, &inquiry, "warning_needs_response").await;
    assert_eq!(world.balance("dispute_hold").await, 0);
    assert_eq!(world.matters("EVIDENCE_DUE").await, [inquiry.as_str()]);
    world.refunded(&paid, None).await;
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
    until(&world, &inquiry, "warning_closed").await;
    assert!(world.matters("EVIDENCE_DUE").await.is_empty());
}

#[tokio::test]
async fn a_dispute_is_known_once_however_often_and_late_its_events_come() {
    let world = World::start().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let dispute = world.complain(&paid, &whole()).await;
    world.rule(&dispute, "lost").await;
    for _ in 0..3 {
        world.nudge(&paid).await;
        world.until_amounts(&paid, "CAPTURED", 0, 2500).await;
    }
    let sets: Vec<(String, i64)> = sqlx::query_as(
        "select effect, count(*) from ledger_sets where effect like 'dispute%' group by effect order by effect",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let once = ["dispute_fee", "dispute_held", "dispute_lost"].map(|effect| (effect.to_owned(), 1));
    assert_eq!(sets, once);
}

#[tokio::test]
async fn an_answer_reaches_the_bank_once_and_closes_the_matter() {
    let world = with_webhooks().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let dispute = world.complain(&paid, &whole()).await;
    until(&world, &dispute, "needs_response").await;
    let first = act(&world, &dispute, "evidence", "key-0001", &good()).await;
    assert_eq!(first.status(), StatusCode::OK);
    let first: Value = first.json().await.unwrap();
    assert_eq!(
        (&first["status"], &first["submissions"]),
        (&json!("under_review"), &json!(1))
    );
    let again = act(&world, &dispute, "evidence", "key-0001", &good()).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    let theirs = world.at_provider("disputes", &paid).await;
    assert_eq!(theirs[0]["evidence_details"]["submission_count"], 1);
    assert_eq!(
        theirs[0]["evidence"]["product_description"],
        "a gift to a campaign"
    );
    assert!(world.matters("EVIDENCE_DUE").await.is_empty());
}

#[tokio::test]
async fn giving_in_loses_the_money_and_there_is_nothing_more_to_say() {
    let world = with_webhooks().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let dispute = world.complain(&paid, &whole()).await;
    until(&world, &dispute, "needs_response").await;
    let lost = act(&world, &dispute, "accept", "key-0001", &json!({})).await;
    assert_eq!(lost.status(), StatusCode::OK);
    let lost: Value = lost.json().await.unwrap();
    assert_eq!(lost["status"], "lost");
    world.until_amounts(&paid, "CAPTURED", 0, 2500).await;
    assert_eq!(world.balance("campaign_payable").await, 0);
    for what in ["accept", "evidence"] {
        let refused = act(&world, &dispute, what, "key-0002", &good()).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        assert_eq!(problem_code(refused).await, "dispute_closed");
    }
}

#[tokio::test]
async fn after_its_time_the_bank_is_told_nothing() {
    let world = with_webhooks().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let dispute = world.complain(&paid, &whole()).await;
    until(&world, &dispute, "needs_response").await;
    sqlx::query("update disputes set evidence_due = now() - interval '1 second'")
        .execute(&world.pool)
        .await
        .unwrap();
    let refused = act(&world, &dispute, "evidence", "key-0001", &good()).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(problem_code(refused).await, "deadline_passed");
    let theirs = world.at_provider("disputes", &paid).await;
    assert_eq!(theirs[0]["evidence_details"]["submission_count"], 0);
}

#[tokio::test]
async fn only_evidence_that_the_bank_takes_is_sent_and_only_by_admins() {
    let world = World::start().await;
    let table = [
        json!({"evidence": {}}),
        json!({"evidence": {"receipt": "a file"}}),
        json!({"evidence": {"product_description": " "}}),
        json!({"evidence": {"product_description": "x".repeat(20_001)}}),
    ];
    for body in table {
        let refused = act(&world, "du_1", "evidence", "key-0001", &body).await;
        assert_eq!(problem_code(refused).await, "invalid_evidence");
    }
    for dispute in ["du_1", "..%2Frefunds"] {
        let refused = act(&world, dispute, "evidence", "key-0001", &good()).await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    }
    let donor = user_token(UserId::new(), Role::Donor);
    for path in [
        "/api/admin/disputes/du_1/accept",
        "/api/admin/disputes/du_1/evidence",
    ] {
        let request = world.service.client.post(world.service.at(path));
        let request = request
            .bearer_auth(&donor)
            .header("idempotency-key", "key-0001");
        assert_eq!(
            request.json(&good()).send().await.unwrap().status(),
            StatusCode::FORBIDDEN
        );
    }
    let request = world
        .service
        .client
        .get(world.service.at("/api/admin/disputes"));
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn disputes_are_listed_in_pages_newest_first() {
    let world = with_webhooks().await;
    let mut opened = Vec::new();
    for _ in 0..3 {
        let paid = world.paid(2500, "pm_card_visa").await;
        let dispute = world.complain(&paid, &whole()).await;
        until(&world, &dispute, "needs_response").await;
        opened.push(dispute);
    }
    let mut found = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = list(&world, &query).await;
        let ids = page["data"].as_array().unwrap().iter();
        found.extend(ids.map(|dispute| dispute["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    opened.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, opened);
    assert_eq!(list(&world, "?status=won").await["data"], json!([]));
    let request = world
        .service
        .client
        .get(world.service.at("/api/admin/disputes?status=perhaps"));
    let refused = request.bearer_auth(admin()).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}
