//! A call to the provider whose outcome is not known: found out, and never made a second time under another key.

use std::time::Duration;

use chassis::clock::Clock;
use payment::Cadences;
use reqwest::StatusCode;
use serde_json::json;
use testkit::{eventually, problem_code};

use crate::{
    reconcile::{faults, open_matter, until_closed},
    world::{Gift, Plan, World, brisk},
};

fn plan() -> Plan {
    Plan {
        resolve_after: Duration::from_millis(200),
        breaker_rest: Duration::from_millis(100),
        ..Plan::brisk()
    }
}

async fn intent(world: &World, gift: &Gift) -> Option<String> {
    sqlx::query_scalar("select provider_ref from payments where payment_id = $1")
        .bind(gift.payment_id.get())
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

async fn found(world: &World, gift: &Gift) -> String {
    eventually("the intent is known", async || intent(world, gift).await).await
}

/// A gift whose payment could not be opened just now.
async fn put_off(world: &World) -> Gift {
    let gift = world.gift();
    assert_eq!(
        problem_code(world.post(&gift.body()).await).await,
        "psp_unavailable"
    );
    gift
}

#[tokio::test]
async fn after_a_500_that_the_provider_repeats_the_intent_is_found_in_its_list() {
    let world = World::of(plan()).await;
    let once =
        json!({"error_after": {"probability": 1.0, "count": 1, "only": ["/v1/payment_intents"]}});
    faults(&world, &once).await;
    let gift = world.gift();
    let reply = world.post(&gift.body()).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem_code(reply).await, "psp_unavailable");
    let intent = found(&world, &gift).await;
    let open = world.open(&gift).await;
    assert_eq!(open.intent, intent);
    world.psp.confirm(&open, "pm_card_visa").await;
    world.until(&gift, "COMPLETED").await;
    assert_eq!(
        (world.psp.intents().await, world.psp.charges().await),
        (1, 1)
    );
}

#[tokio::test]
async fn a_call_that_is_never_answered_is_made_again_with_the_same_key() {
    let world = World::of(Plan {
        timeout: Duration::from_millis(400),
        ..plan()
    })
    .await;
    let twice =
        json!({"timeout_after": {"probability": 1.0, "count": 2, "only": ["/v1/payment_intents"]}});
    faults(&world, &twice).await;
    let gift = put_off(&world).await;
    found(&world, &gift).await;
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn a_call_without_an_answer_becomes_a_matter_and_the_answer_closes_it() {
    let mut world = World::of(Plan {
        up: false,
        cadences: Cadences {
            unknown_after: Duration::from_millis(100),
            ..brisk()
        },
        ..plan()
    })
    .await;
    let gift = put_off(&world).await;
    let subject = gift.payment_id.to_string();
    eventually("a person is asked", async || {
        open_matter(&world, "UNKNOWN", &subject).await
    })
    .await;
    world.psp_comes_up();
    found(&world, &gift).await;
    until_closed(&world, "UNKNOWN", &subject).await;
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn a_call_that_is_a_day_old_is_never_made_again() {
    let clock = Clock::fixed(Clock::system().now());
    let mut world = World::of(Plan {
        clock: clock.clone(),
        up: false,
        resolve_after: Duration::from_mins(10),
        ..plan()
    })
    .await;
    let gift = put_off(&world).await;
    clock.advance(chrono::Duration::hours(24));
    world.psp_comes_up();
    let subject = gift.payment_id.to_string();
    eventually("a person is asked", async || {
        open_matter(&world, "UNKNOWN", &subject).await
    })
    .await;
    assert_eq!(
        world.psp.intents().await,
        0,
        "the provider may have forgotten the key"
    );
    assert_eq!(world.state(&gift).await, "PENDING");
}

#[tokio::test]
async fn an_intent_that_was_never_made_keeps_no_payment_open_for_ever() {
    let clock = Clock::fixed(Clock::system().now());
    let mut world = World::of(Plan {
        clock: clock.clone(),
        up: false,
        ..plan()
    })
    .await;
    let gift = put_off(&world).await;
    world.withdraw(&gift).await;
    eventually("it is called off", async || {
        let (ending, _) = world.ending(&gift).await;
        (ending.as_deref() == Some("DONOR")).then_some(())
    })
    .await;
    assert_eq!(world.state(&gift).await, "PENDING");
    clock.advance(chrono::Duration::hours(26));
    world.psp_comes_up();
    world.until(&gift, "CANCELLED").await;
    assert_eq!(world.psp.intents().await, 0);
    let subject = gift.payment_id.to_string();
    until_closed(&world, "UNKNOWN", &subject).await;
}

/// Lets the payment be for less than its intent was asked for.
async fn tamper(world: &World, gift: &Gift) {
    sqlx::query("update payments set amount_minor = 2000 where payment_id = $1")
        .bind(gift.payment_id.get())
        .execute(&world.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_intent_for_another_amount_is_paid_by_nobody_and_is_a_matter_for_a_person() {
    let world = World::of(plan()).await;
    let gift = world.gift();
    world.open(&gift).await;
    tamper(&world, &gift).await;
    let refused = world.post(&gift.body()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem_code(refused).await, "psp_unavailable");
    let subject = gift.payment_id.to_string();
    assert!(open_matter(&world, "CONFLICT", &subject).await.is_some());
}

#[tokio::test]
async fn a_call_that_is_answered_with_another_amount_is_unclear_until_a_person_cancels_it() {
    let clock = Clock::fixed(Clock::system().now());
    let mut world = World::of(Plan {
        clock: clock.clone(),
        up: false,
        ..plan()
    })
    .await;
    let gift = put_off(&world).await;
    tamper(&world, &gift).await;
    world.withdraw(&gift).await;
    eventually("it is called off", async || {
        let (ending, _) = world.ending(&gift).await;
        (ending.as_deref() == Some("DONOR")).then_some(())
    })
    .await;
    world.psp_comes_up();
    let subject = gift.payment_id.to_string();
    let conflict = eventually("a person is asked", async || {
        clock.advance(chrono::Duration::minutes(1));
        open_matter(&world, "CONFLICT", &subject).await
    })
    .await;
    eventually("it is a call without an answer", async || {
        clock.advance(chrono::Duration::minutes(1));
        open_matter(&world, "UNKNOWN", &subject).await
    })
    .await;
    assert_eq!(intent(&world, &gift).await, None);
    assert_eq!(world.state(&gift).await, "PENDING");
    assert_eq!(world.psp.intents().await, 1);
    let mut words = conflict.split([' ', ':']);
    let theirs = words.find(|word| word.starts_with("pi_")).unwrap();
    let cancel = format!("/v1/payment_intents/{theirs}/cancel");
    world.dashboard(&cancel, &[], None).await;
    clock.advance(chrono::Duration::hours(26));
    world.until(&gift, "CANCELLED").await;
}
