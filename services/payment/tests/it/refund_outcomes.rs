//! Refunds whose call or outcome does not go as usual: each ends as one row and at most one refund at the provider.

use std::{sync::atomic::Ordering, time::Duration};

use chassis::clock::Clock;
use payment::Cadences;
use serde_json::{Value, json};
use testkit::eventually;
use uuid::Uuid;

use crate::{
    bank::Paid,
    outage::Line,
    world::{Plan, World},
};

/// A service that repeats calls soon.
fn soon() -> Plan {
    Plan {
        resolve_after: Duration::from_millis(100),
        ..Plan::default()
    }
}

/// What a crash leaves right after the refund was stored.
async fn stored(world: &World, paid: &Paid, minor: i64, age: chrono::Duration) -> (Uuid, Vec<u8>) {
    let id = Uuid::now_v7();
    let request = format!(
        "payment_intent={}&amount={minor}&reason=requested_by_customer&metadata%5Brefund_id%5D={id}",
        paid.open.intent
    );
    let at = world.clock.now() - age;
    sqlx::query(
        "insert into refunds (refund_id, payment_id, campaign_id, amount_minor, currency, cause, status, psp_key, psp_request, outcome,
                              requested_at, retry_at, created_at, updated_at)
         values ($1, $2, $7, $3, 'USD', 'ADMIN', 'PENDING', $4, $5, 'requested', $6, $6, $6, $6)",
    )
    .bind(id)
    .bind(paid.gift.payment_id.get())
    .bind(minor)
    .bind(format!("refund:{id}"))
    .bind(request.as_bytes())
    .bind(at)
    .bind(paid.gift.ticket.campaign_id.get())
    .execute(&world.pool)
    .await
    .unwrap();
    (id, request.into_bytes())
}

#[tokio::test]
async fn a_crash_before_the_call_is_one_refund() {
    let world = World::of(soon()).await;
    let paid = world.paid(2500, "pm_card_visa").await;
    stored(&world, &paid, 700, chrono::Duration::zero()).await;
    world.until_refunds(&paid, &["SUCCEEDED"]).await;
    world.until_amounts(&paid, "CAPTURED", 700, 0).await;
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 1);
}

#[tokio::test]
async fn a_crash_after_the_call_is_one_refund() {
    let world = World::of(soon()).await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let id = Uuid::now_v7();
    let form = [
        ("payment_intent", paid.open.intent.as_str()),
        ("amount", "700"),
        ("metadata[refund_id]", &id.to_string()),
    ];
    let made = world
        .dashboard("/v1/refunds", &form, Some(&format!("refund:{id}")))
        .await;
    let at = world.clock.now();
    sqlx::query(
        "insert into refunds (refund_id, payment_id, campaign_id, amount_minor, currency, cause, status, psp_key, psp_request, outcome,
                              requested_at, retry_at, created_at, updated_at)
         values ($1, $2, $5, 700, 'USD', 'ADMIN', 'PENDING', $3, '', 'requested', $4, $4, $4, $4)",
    )
    .bind(id)
    .bind(paid.gift.payment_id.get())
    .bind(format!("refund:{id}"))
    .bind(at)
    .bind(paid.gift.ticket.campaign_id.get())
    .execute(&world.pool)
    .await
    .unwrap();
    let refunds = world.until_refunds(&paid, &["SUCCEEDED"]).await;
    assert_eq!(refunds[0]["psp_refund"], made["id"]);
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 1);
}

#[tokio::test]
async fn a_refund_whose_event_beats_its_reply_is_one_row() {
    let plan = Plan {
        webhooks: true,
        timeout: Duration::from_secs(2),
        ..Plan::default()
    };
    let world = World::of(plan).await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let fault = json!({"timeout_after": {"probability": 1.0, "count": 1, "only": ["/v1/refunds"]}});
    world.control("/faults", &fault).await;
    world.refunded(&paid, Some(900)).await;
    let refunds = world.until_refunds(&paid, &["SUCCEEDED"]).await;
    assert_eq!(refunds[0]["cause"], "ADMIN");
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 1);
    world.until_amounts(&paid, "CAPTURED", 900, 0).await;
}

#[tokio::test]
async fn no_second_refund_after_a_timeout() {
    let plan = Plan {
        timeout: Duration::from_secs(2),
        ..soon()
    };
    let world = World::of(plan).await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let fault = json!({"timeout_after": {"probability": 1.0, "count": 1, "only": ["/v1/refunds"]}});
    world.control("/faults", &fault).await;
    world.refunded(&paid, Some(900)).await;
    world.until_refunds(&paid, &["SUCCEEDED"]).await;
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 1);
    world.until_amounts(&paid, "CAPTURED", 900, 0).await;
}

#[tokio::test]
async fn no_second_refund_after_a_500_that_the_provider_repeats_for_good() {
    let world = World::of(soon()).await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let fault = json!({"error_after": {"probability": 1.0, "count": 1, "only": ["/v1/refunds"]}});
    world.control("/faults", &fault).await;
    world.refunded(&paid, Some(900)).await;
    world.until_refunds(&paid, &["SUCCEEDED"]).await;
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 1);
    world.until_amounts(&paid, "CAPTURED", 900, 0).await;
}

#[tokio::test]
async fn a_call_that_is_older_than_the_providers_memory_is_never_made_again() {
    let world = World::of(soon()).await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let (id, _) = stored(&world, &paid, 700, chrono::Duration::hours(24)).await;
    let refunds = world.until_refunds(&paid, &["FAILED"]).await;
    assert_eq!(refunds[0]["failure"], "never_made");
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 0);
    assert_eq!(world.matters("REFUND_FAILED").await, [id.to_string()]);
    // What it had reserved is free again.
    world.refunded(&paid, None).await;
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
    eventually("a person has nothing left to do", async || {
        world
            .matters("REFUND_FAILED")
            .await
            .is_empty()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refund_without_an_answer_becomes_a_matter_and_the_answer_closes_it() {
    let line = Line::new().await;
    let plan = Plan {
        timeout: Duration::from_secs(2),
        breaker_rest: Duration::from_millis(100),
        cadences: Cadences {
            unknown_after: Duration::from_millis(100),
            ..Cadences::default()
        },
        through: Some(line.address()),
        ..soon()
    };
    let world = World::of(plan).await;
    let mute = line.lead_to(world.psp.address(), &world.life);
    let paid = world.paid(2500, "pm_card_visa").await;
    mute.store(true, Ordering::SeqCst);
    let refund = world.refunded(&paid, Some(900)).await;
    let subject = refund["id"].as_str().unwrap();
    eventually("a person is asked", async || {
        (world.matters("UNKNOWN").await == [subject]).then_some(())
    })
    .await;
    mute.store(false, Ordering::SeqCst);
    world.until_refunds(&paid, &["SUCCEEDED"]).await;
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 1);
    eventually("the matter is closed", async || {
        world.matters("UNKNOWN").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refund_that_fails_after_weeks_makes_the_money_the_campaigns_again() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let made = world.refunded(&paid, None).await;
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
    let refunds = world.refunds(&paid).await;
    world
        .settle(refunds[0]["psp_refund"].as_str().unwrap(), "failed")
        .await;
    let refunds = world.until_refunds(&paid, &["FAILED"]).await;
    assert_eq!(refunds[0]["failure"], "unknown");
    world.until_amounts(&paid, "CAPTURED", 0, 0).await;
    assert_eq!(world.balance("campaign_payable").await, -2500);
    assert_eq!(
        world.matters("REFUND_FAILED").await,
        [made["id"].as_str().unwrap()]
    );
    world.refunded(&paid, None).await;
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
    assert_eq!(world.balance("campaign_payable").await, 0);
    assert!(world.matters("REFUND_FAILED").await.is_empty());
}

#[tokio::test]
async fn a_refund_of_the_providers_own_tools_is_imported_once() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let form = [
        ("payment_intent", paid.open.intent.as_str()),
        ("amount", "400"),
    ];
    let theirs = world.dashboard("/v1/refunds", &form, None).await;
    let refunds = world.until_refunds(&paid, &["SUCCEEDED"]).await;
    assert_eq!(refunds[0]["cause"], "IMPORTED");
    assert_eq!(refunds[0]["psp_refund"], theirs["id"]);
    world.nudge(&paid).await;
    world.until_amounts(&paid, "CAPTURED", 400, 0).await;
    assert_eq!(world.refunds(&paid).await.len(), 1);
    let refused = world.refund(&paid, Some(2101)).await;
    assert_eq!(
        testkit::problem_code(refused).await,
        "refund_exceeds_captured"
    );
}

#[tokio::test]
async fn a_refund_counts_when_it_succeeds_also_without_any_webhook() {
    let clock = Clock::fixed(Clock::system().now());
    let world = World::of(Plan {
        clock: clock.clone(),
        ..Plan::default()
    })
    .await;
    let paid = world.paid(2500, "pm_card_pendingRefund").await;
    world.refunded(&paid, None).await;
    let refunds = eventually("the refund at the provider", async || {
        let refunds = world.refunds(&paid).await;
        refunds[0]["psp_refund"].is_string().then_some(refunds)
    })
    .await;
    assert_eq!(refunds[0]["status"], "PENDING");
    assert_eq!(world.amounts(&paid).await.2, 0, "it has not arrived");
    let refused = world.refund(&paid, Some(1)).await;
    assert_eq!(
        testkit::problem_code(refused).await,
        "refund_exceeds_captured"
    );
    world
        .settle(refunds[0]["psp_refund"].as_str().unwrap(), "succeeded")
        .await;
    clock.advance(chrono::Duration::minutes(2));
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
}

#[tokio::test]
async fn a_refund_that_the_provider_refuses_fails_and_a_person_hears_of_it() {
    let world = World::start().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    // Nobody told us yet of what somebody gave back at the provider.
    let form = [
        ("payment_intent", paid.open.intent.as_str()),
        ("amount", "2000"),
    ];
    world.dashboard("/v1/refunds", &form, None).await;
    let made = world.refunded(&paid, Some(1000)).await;
    let refunds = world.until_refunds(&paid, &["FAILED", "SUCCEEDED"]).await;
    assert_eq!(refunds[1]["cause"], "IMPORTED");
    assert_eq!(
        world.matters("REFUND_FAILED").await,
        [made["id"].as_str().unwrap()]
    );
    world.until_amounts(&paid, "CAPTURED", 2000, 0).await;
}

#[tokio::test]
async fn news_of_money_that_goes_back_of_an_unknown_intent_are_kept_and_move_nothing() {
    let world = World::start().await;
    let event = |object: Value| {
        json!({
            "id": format!("evt_{}", Uuid::new_v4().simple()), "object": "event", "livemode": false,
            "type": "refund.updated", "data": {"object": object},
        })
    };
    let table = [
        (
            json!({"id": "re_1", "payment_intent": "pi_of_nobody"}),
            "PARKED",
        ),
        (json!({"id": "re_1", "payment_intent": null}), "IGNORED"),
        (json!({"id": "re_1", "payment_intent": 5}), "QUARANTINED"),
    ];
    for (object, verdict) in table {
        assert_eq!(world.verdict(&event(object)).await, verdict);
    }
}

#[tokio::test]
async fn a_refund_that_the_provider_knows_rests_longer_than_a_call_without_an_answer() {
    let world = World::of(Plan {
        cadences: Cadences {
            resolve_at_most: Duration::from_millis(200),
            ..Cadences::default()
        },
        ..soon()
    })
    .await;
    let paid = world.paid(2500, "pm_card_pendingRefund").await;
    world.refunded(&paid, None).await;
    eventually("the provider knows it", async || {
        let refunds = world.refunds(&paid).await;
        refunds[0]["psp_refund"].is_string().then_some(())
    })
    .await;
    sqlx::query("update refunds set retry_at = $1, tries = 20")
        .bind(world.clock.now())
        .execute(&world.pool)
        .await
        .unwrap();
    let soon = world.clock.now() + chrono::Duration::minutes(5);
    eventually("it is looked at and rests", async || {
        let rests: bool = sqlx::query_scalar("select retry_at > $1 from refunds where tries > 20")
            .bind(soon)
            .fetch_optional(&world.pool)
            .await
            .unwrap()?;
        rests.then_some(())
    })
    .await;
}
