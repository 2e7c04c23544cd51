//! A donor calls a pledge off, whatever its payment is doing meanwhile.

use std::time::Duration;

use common::events::Capture;
use reqwest::StatusCode;
use serde_json::json;
use testkit::{eventually, problem_code, publish};

use crate::world::{Gift, Plan, Table, World};

/// Waits until everything that was published before has been consumed.
async fn consumed(world: &World) {
    let marker = world.gift();
    publish(&world.kafka, &marker.event(world.clock.now())).await;
    eventually("the marker was consumed", async || {
        (world.get(&marker).await.status() == StatusCode::OK).then_some(())
    })
    .await;
}

async fn has_ended(world: &World, gift: &Gift) {
    eventually("nothing is left to ask", async || {
        (!world.ending(gift).await.1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_payment_that_the_donor_calls_off_is_cancelled_at_the_provider_first() {
    for capture in [Capture::Automatic, Capture::Manual] {
        let world = World::start().await;
        let gift = world.gift_of(2500, capture, None);
        let open = world.open(&gift).await;
        if capture == Capture::Manual {
            world.psp.confirm(&open, "pm_card_visa").await;
            world.verdict(&gift.authorized(&open.intent)).await;
        }
        world.withdraw(&gift).await;
        world.until(&gift, "CANCELLED").await;
        assert_eq!(world.psp.status(&open).await, "canceled");
        assert_eq!(
            world.causes(&gift).await.last().map(String::as_str),
            Some("donor.cancelled")
        );
        let ending = world.ending(&gift).await;
        assert_eq!(ending, (Some("DONOR".to_owned()), false));
        // What the provider tells of it later is known.
        let told = json!({"status": "canceled", "cancellation_reason": "requested_by_customer"});
        let event = gift.news("payment_intent.canceled", &open.intent, &told);
        assert_eq!(world.verdict(&event).await, "DUPLICATE");
        let closed = world.post(&gift.body()).await;
        assert_eq!(problem_code(closed).await, "payment_closed");
    }
}

#[tokio::test]
async fn called_off_before_it_was_heard_of_and_twice_it_is_never_opened() {
    let world = World::start().await;
    let gift = world.gift();
    world.withdraw(&gift).await;
    world.withdraw(&gift).await;
    publish(&world.kafka, &gift.event(world.clock.now())).await;
    consumed(&world).await;
    world.until(&gift, "CANCELLED").await;
    assert_eq!(world.payment(&gift).await["version"], 2, "ended once");
    let closed = world.post(&gift.body()).await;
    assert_eq!(problem_code(closed).await, "payment_closed");
    assert_eq!(world.psp.intents().await, 0);
    assert_eq!(
        world.count(Table::Payments).await,
        2,
        "the marker's as well"
    );
}

#[tokio::test]
async fn a_donor_who_pays_first_has_paid() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    // The provider has taken the money, and we have not heard of it.
    world.psp.confirm(&open, "pm_card_visa").await;
    world.withdraw(&gift).await;
    world.until(&gift, "CAPTURED").await;
    has_ended(&world, &gift).await;
    assert_eq!(world.payment(&gift).await["captured"]["amount"], 2500);
    assert_eq!(
        world.verdict(&gift.captured(&open.intent)).await,
        "DUPLICATE"
    );
    assert_eq!(world.psp.charges().await, 1);
}

#[tokio::test]
async fn paying_and_calling_off_at_once_ends_as_the_provider_decided() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    for _ in 0..8 {
        let gift = world.gift();
        let open = world.open(&gift).await;
        futures::join!(
            async { drop(world.psp.confirm(&open, "pm_card_visa").await) },
            world.withdraw(&gift),
        );
        has_settled(&world, &gift).await;
        let expected = match world.psp.status(&open).await.as_str() {
            "succeeded" => "CAPTURED",
            _ => "CANCELLED",
        };
        assert_eq!(world.state(&gift).await, expected);
    }
}

/// Waits until the donor's wish was heard and answered.
async fn has_settled(world: &World, gift: &Gift) {
    eventually("the wish was answered", async || {
        let (ending, asking) = world.ending(gift).await;
        (ending.is_some() && !asking).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cancel_that_the_provider_answers_with_a_failure_is_looked_at_and_asked_again() {
    let world = World::of(Plan {
        resolve_after: Duration::from_millis(100),
        ..Plan::default()
    })
    .await;
    let (lost, gift) = (world.gift(), world.gift());
    let (lost_open, open) = (world.open(&lost).await, world.open(&gift).await);
    // It has its effect, and the answer is 500, for good under this key.
    let fault = json!({"error_after": {"probability": 1.0, "count": 1, "only": ["/cancel"]}});
    world.psp.faults(&fault).await;
    world.withdraw(&lost).await;
    world.until(&lost, "CANCELLED").await;
    world.withdraw(&gift).await;
    world.until(&gift, "CANCELLED").await;
    for open in [&lost_open, &open] {
        assert_eq!(world.psp.status(open).await, "canceled");
    }
}

#[tokio::test]
async fn a_crash_between_the_wish_and_the_call_is_made_good() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    // As the process leaves it that dies after writing the wish down.
    sqlx::query("update payments set ending = 'ADMIN', ending_at = $2 where payment_id = $1")
        .bind(gift.payment_id.get())
        .bind(world.clock.now())
        .execute(&world.pool)
        .await
        .unwrap();
    world.until(&gift, "CANCELLED").await;
    assert_eq!(world.psp.status(&open).await, "canceled");
    assert_eq!(world.causes(&gift).await, ["admin.cancelled"]);
}

#[tokio::test]
async fn a_payment_whose_opening_has_no_answer_is_opened_and_then_cancelled() {
    let world = World::of(Plan {
        timeout: Duration::from_millis(500),
        resolve_after: Duration::from_millis(300),
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    let fault =
        json!({"timeout_after": {"probability": 1.0, "count": 1, "only": ["/v1/payment_intents"]}});
    world.psp.faults(&fault).await;
    let refused = world.post(&gift.body()).await;
    assert_eq!(problem_code(refused).await, "psp_unavailable");
    world.withdraw(&gift).await;
    world.until(&gift, "CANCELLED").await;
    assert_eq!(world.psp.intents().await, 1);
    let intent: String = sqlx::query_scalar("select provider_ref from payments")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let event = world.psp.event(&intent, "payment_intent.canceled").await;
    assert!(event.starts_with("evt_"));
}

#[tokio::test]
async fn money_that_comes_after_a_cancel_moves_nothing_by_its_webhook_alone() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.withdraw(&gift).await;
    world.until(&gift, "CANCELLED").await;
    assert_eq!(
        world.verdict(&gift.captured(&open.intent)).await,
        "CONFLICT"
    );
    assert_eq!(world.state(&gift).await, "CANCELLED");
}
