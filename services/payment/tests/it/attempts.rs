//! A pledge whose payment has ended may be paid by another one, after the provider can never charge the first.

use common::ids::PaymentId;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{eventually, problem_code};

use crate::world::{Gift, Plan, Table, World};

/// The gift as its next attempt.
pub fn next(gift: &Gift) -> Gift {
    Gift {
        payment_id: PaymentId::of(gift.ticket.pledge_id, 2),
        ..gift.clone()
    }
}

#[tokio::test]
async fn after_the_fifth_decline_the_intent_is_cancelled_and_the_payment_has_failed() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    for _ in 0..4 {
        world.verdict(&gift.declined(&open.intent)).await;
    }
    assert_eq!(world.ending(&gift).await, (None, false));
    assert_eq!(
        world.open(&gift).await.intent,
        open.intent,
        "it can still be paid"
    );
    world.verdict(&gift.declined(&open.intent)).await;
    world.until(&gift, "FAILED").await;
    assert_eq!(world.psp.status(&open).await, "canceled");
    assert_eq!(world.causes(&gift).await, ["declined.for_good"]);
    assert_eq!(
        world.payment(&gift).await["failure"]["code"],
        "card_declined"
    );
}

#[tokio::test]
async fn after_a_decline_that_no_other_try_gets_over_the_intent_is_cancelled_at_once() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    let card = "pm_card_chargeDeclinedStolenCard";
    let declined = world.psp.confirm(&open, card).await;
    assert_eq!(declined.status(), StatusCode::PAYMENT_REQUIRED);
    world.until(&gift, "FAILED").await;
    assert_eq!(world.psp.status(&open).await, "canceled");
    let (ending, _) = world.ending(&gift).await;
    assert_eq!(ending.as_deref(), Some("DECLINES"));
    assert_ne!(world.open(&gift).await.intent, open.intent, "the next one");
}

#[tokio::test]
async fn a_pledge_whose_intent_was_cancelled_is_paid_by_a_second_one() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.cancel(&open).await;
    let told = json!({"status": "canceled", "cancellation_reason": null});
    let event = gift.news("payment_intent.canceled", &open.intent, &told);
    assert_eq!(world.verdict(&event).await, "APPLIED");
    assert_eq!(world.state(&gift).await, "CANCELLED");
    let body = gift.body();
    let replies = futures::join!(world.post(&body), world.post(&body));
    let mut intents = Vec::new();
    for reply in [replies.0, replies.1] {
        assert_eq!(reply.status(), StatusCode::CREATED);
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body["payment"]["attempt"], 2);
        intents.push(body["client_secret"].as_str().unwrap().to_owned());
    }
    assert_eq!(intents[0], intents[1], "one second intent, whoever asks");
    assert_eq!(
        (
            world.psp.intents().await,
            world.count(Table::Payments).await
        ),
        (2, 2)
    );
    let second = next(&gift);
    let intent = intents[0].split("_secret_").next().unwrap();
    assert_eq!(world.verdict(&second.captured(intent)).await, "IMPLIED");
    assert_eq!(world.state(&second).await, "CAPTURED");
    let closed = world.post(&gift.body()).await;
    assert_eq!(problem_code(closed).await, "payment_closed");
}

#[tokio::test]
async fn while_the_provider_has_not_cancelled_no_second_payment_exists() {
    let world = World::start().await;
    let gift = world.gift();
    world.open(&gift).await;
    sqlx::query("update payments set ending = 'CAMPAIGN', ending_at = now() + interval '1 hour'")
        .execute(&world.pool)
        .await
        .unwrap();
    let closed = world.post(&gift.body()).await;
    assert_eq!(problem_code(closed).await, "payment_closed");
    assert_eq!(world.count(Table::Payments).await, 1);
}

#[tokio::test]
async fn a_lapsed_pledge_a_withdrawn_one_and_a_paid_one_get_no_second_payment() {
    let world = World::start().await;
    let (withdrawn, paid) = (world.gift(), world.gift());
    let open = world.open(&withdrawn).await;
    world.psp.cancel(&open).await;
    let told = json!({"status": "canceled"});
    world
        .verdict(&withdrawn.news("payment_intent.canceled", &open.intent, &told))
        .await;
    // The donor calls it off when its payment has ended already.
    world.withdraw(&withdrawn).await;
    eventually("the wish was heard", async || {
        world.ending(&withdrawn).await.0
    })
    .await;
    let intent = world.open(&paid).await.intent;
    world.verdict(&paid.captured(&intent)).await;
    for gift in [&withdrawn, &paid] {
        let closed = world.post(&gift.body()).await;
        assert_eq!(closed.status(), StatusCode::CONFLICT);
        assert_eq!(problem_code(closed).await, "payment_closed");
    }
    let lapsed = world.gift();
    world.open(&lapsed).await;
    world.lapse(&lapsed).await;
    world.until(&lapsed, "EXPIRED").await;
    let closed = world.post(&lapsed.body()).await;
    assert_eq!(problem_code(closed).await, "payment_closed");
    assert_eq!(world.count(Table::Payments).await, 3);
}

#[tokio::test]
async fn a_link_opens_its_own_payment_only() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.cancel(&open).await;
    let event = gift.news(
        "payment_intent.canceled",
        &open.intent,
        &json!({"status": "canceled"}),
    );
    world.verdict(&event).await;
    let path = format!(
        "/api/payments/{}/checkout?ticket={}",
        gift.payment_id, gift.sealed
    );
    let reply = world
        .service
        .client
        .get(world.service.at(&path))
        .send()
        .await
        .unwrap();
    assert_eq!(problem_code(reply).await, "payment_closed");
    assert_eq!(world.count(Table::Payments).await, 1);
}
