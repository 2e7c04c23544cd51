//! What is not paid in time expires, and held money is taken or released before its hold runs out.

use std::time::Duration;

use chassis::clock::Clock;
use common::{
    events::{CampaignKind, CampaignState, CampaignStatus, Capture},
    ids::UserId,
    money::{Currency, Money},
};
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use testkit::{eventually, problem_code, publish};

use crate::world::{Gift, Open, Plan, World};

#[tokio::test]
async fn a_pledge_that_nobody_pays_expires_and_its_intent_can_never_be_paid() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.lapse(&gift).await;
    world.until(&gift, "EXPIRED").await;
    assert_eq!(world.psp.status(&open).await, "canceled");
    assert_eq!(world.causes(&gift).await, ["pledge.expired"]);
    let paid = world.psp.confirm(&open, "pm_card_visa").await;
    assert_eq!(paid.status(), StatusCode::BAD_REQUEST);
    let closed = world.post(&gift.body()).await;
    assert!(["pledge_expired", "payment_closed"].contains(&problem_code(closed).await.as_str()));
}

#[tokio::test]
async fn a_payment_that_was_never_opened_expires_without_the_provider() {
    let world = World::of(Plan {
        up: false,
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    publish(&world.kafka, &gift.event(world.clock.now())).await;
    eventually("the event was consumed", async || {
        (world.get(&gift).await.status() == StatusCode::OK).then_some(())
    })
    .await;
    world.lapse(&gift).await;
    world.until(&gift, "EXPIRED").await;
}

#[tokio::test]
async fn a_donor_who_paid_in_the_last_moment_has_paid() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    world.lapse(&gift).await;
    world.until(&gift, "CAPTURED").await;
    eventually("nothing is left to ask", async || {
        (!world.ending(&gift).await.1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_donor_whose_money_is_held_has_paid_in_time_whether_or_not_a_webhook_said_so() {
    let world = World::start().await;
    let silent = world.gift_of(2500, Capture::Manual, None);
    let told = world.gift_of(2500, Capture::Manual, None);
    let mut opened = Vec::new();
    for gift in [&silent, &told] {
        let open = world.open(gift).await;
        world.psp.confirm(&open, "pm_card_visa").await;
        opened.push(open);
    }
    world.lapse(&silent).await;
    // The webhook comes when the payment was called off already, and before the provider was asked.
    sqlx::query("update payments set ending = 'EXPIRY', ending_at = now() + interval '1 hour' where payment_id = $1")
        .bind(told.payment_id.get())
        .execute(&world.pool)
        .await
        .unwrap();
    world.deliver(&told.authorized(&opened[1].intent)).await;
    sqlx::query("update payments set ending_at = now() where payment_id = $1")
        .bind(told.payment_id.get())
        .execute(&world.pool)
        .await
        .unwrap();
    for (gift, open) in [&silent, &told].into_iter().zip(&opened) {
        world.until(gift, "AUTHORIZED").await;
        eventually("nobody calls it off any more", async || {
            (world.ending(gift).await == (None, false)).then_some(())
        })
        .await;
        assert_eq!(world.psp.status(open).await, "requires_capture");
    }
}

#[tokio::test]
async fn paying_in_the_moment_of_expiry_ends_as_the_provider_decided() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    for _ in 0..8 {
        let gift = world.gift();
        let open = world.open(&gift).await;
        futures::join!(world.lapse(&gift), async {
            drop(world.psp.confirm(&open, "pm_card_visa").await);
        });
        let state = eventually("it was decided", async || {
            let state = world.state(&gift).await;
            (state != "PENDING").then_some(state)
        })
        .await;
        let expected = match world.psp.status(&open).await.as_str() {
            "succeeded" => "CAPTURED",
            _ => "EXPIRED",
        };
        assert_eq!(state, expected);
    }
}

#[tokio::test]
async fn a_payment_that_is_being_processed_stays_until_the_bank_has_said_its_word() {
    let world = World::of(Plan {
        resolve_after: Duration::from_millis(50),
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world
        .psp
        .confirm(&open, "pm_usBankAccount_processing")
        .await;
    world.lapse(&gift).await;
    eventually("it was asked more than once", async || {
        let tries: i32 = sqlx::query_scalar("select ending_tries from payments")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        (tries > 1).then_some(())
    })
    .await;
    assert_eq!(world.state(&gift).await, "PENDING");
    assert_eq!(world.psp.status(&open).await, "processing");
}

#[tokio::test]
async fn while_the_provider_is_away_nothing_expires_and_then_it_does() {
    let mut world = World::of(Plan {
        up: false,
        timeout: Duration::from_millis(300),
        breaker_rest: Duration::from_millis(200),
        resolve_after: Duration::from_millis(100),
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    let refused = world.post(&gift.body()).await;
    assert_eq!(problem_code(refused).await, "psp_unavailable");
    world.lapse(&gift).await;
    eventually("it was called off", async || {
        world
            .ending(&gift)
            .await
            .0
            .filter(|ending| ending == "EXPIRY")
    })
    .await;
    assert_eq!(world.state(&gift).await, "PENDING");
    world.psp_comes_up();
    world.until(&gift, "EXPIRED").await;
}

/// A payment that holds its money for seven days.
async fn held(world: &World) -> (Gift, Open) {
    let gift = world.gift_of(2500, Capture::Manual, None);
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    world.verdict(&gift.authorized(&open.intent)).await;
    eventually("it is known how long the money is held", async || {
        let due: Option<chrono::DateTime<chrono::Utc>> =
            sqlx::query_scalar("select hold_due from payments where payment_id = $1")
                .bind(gift.payment_id.get())
                .fetch_one(&world.pool)
                .await
                .unwrap();
        due
    })
    .await;
    (gift, open)
}

fn campaign(gift: &Gift, status: CampaignStatus) -> CampaignState {
    CampaignState {
        moved_by: None,
        kind: CampaignKind::Suspended,
        campaign_id: gift.ticket.campaign_id,
        organiser_id: UserId::new(),
        title: "A well".to_owned(),
        status,
        goal: Money::new(100_000, Currency::USD),
        minimum: 100,
        ends_at: None,
        capture: Capture::Manual,
        version: 3,
        occurred_at: gift.ticket.expires_at,
    }
}

#[tokio::test]
async fn held_money_is_taken_an_hour_before_its_hold_runs_out_unless_its_campaign_was_stopped() {
    let clock = Clock::fixed(Clock::system().now());
    let world = World::of(Plan {
        clock: clock.clone(),
        ..Plan::default()
    })
    .await;
    let (kept, kept_open) = held(&world).await;
    let (stopped, stopped_open) = held(&world).await;
    publish(&world.kafka, &campaign(&stopped, CampaignStatus::Suspended)).await;
    eventually("the campaign is known to be stopped", async || {
        sqlx::query_scalar::<_, String>("select status from campaigns")
            .fetch_optional(&world.pool)
            .await
            .unwrap()
    })
    .await;
    clock.advance(chrono::Duration::days(6));
    assert_eq!(world.state(&kept).await, "AUTHORIZED");
    clock.advance(chrono::Duration::minutes(23 * 60 + 1));
    world.until(&kept, "CAPTURED").await;
    world.until(&stopped, "CANCELLED").await;
    assert_eq!(world.psp.status(&kept_open).await, "succeeded");
    assert_eq!(world.psp.status(&stopped_open).await, "canceled");
    assert_eq!(
        world.causes(&kept).await.last().map(String::as_str),
        Some("hold.captured")
    );
    assert_eq!(
        world.payment(&kept).await["captured"],
        json!({"amount": 2500, "currency": "USD"})
    );
}

#[tokio::test]
async fn holds_that_run_out_in_the_same_moment_are_all_taken_by_one_round() {
    let world = World::of(Plan {
        resolve_every: Duration::from_secs(25),
        ..Plan::default()
    })
    .await;
    let gifts: Vec<Gift> = (0..48)
        .map(|_| world.gift_of(2500, Capture::Manual, None))
        .collect();
    join_all(gifts.iter().map(async |gift| {
        let open = world.open(gift).await;
        world.psp.confirm(&open, "pm_card_visa").await;
        world.deliver(&gift.authorized(&open.intent)).await;
    }))
    .await;
    let due = "update payments set hold_due = now() where state = 'AUTHORIZED'";
    let due = sqlx::query(due).execute(&world.pool).await.unwrap();
    assert_eq!(due.rows_affected(), 48);
    // A second round of as many as are dealt with at once, and a third, would come too late for this.
    eventually("all of them are taken", async || {
        let left: i64 =
            sqlx::query_scalar("select count(*) from payments where state <> 'CAPTURED'")
                .fetch_one(&world.pool)
                .await
                .unwrap();
        (left == 0).then_some(())
    })
    .await;
}
