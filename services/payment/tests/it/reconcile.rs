//! The provider is asked about what it has not told: with webhooks off for ever every payment reaches its true state.

use common::{events::Capture, payment::State};
use serde_json::{Value, json};
use testkit::eventually;

use crate::world::{Gift, Open, Plan, World};

async fn quiet_world() -> World {
    World::of(Plan::brisk()).await
}

async fn transitions(world: &World, gift: &Gift) -> Vec<(String, String)> {
    sqlx::query_as(
        "select to_state, cause from payment_transitions where payment_id = $1 order by id",
    )
    .bind(gift.payment_id.get())
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

/// What each account holds of a payment, and how many sets.
async fn books(world: &World, gift: &Gift) -> (Vec<(String, i64)>, i64) {
    let accounts = sqlx::query_as(
        "select e.account, sum(e.amount_minor)::bigint from ledger_entries e join ledger_sets s using (set_id)
         where s.payment_id = $1 group by e.account having sum(e.amount_minor) <> 0 order by e.account",
    )
    .bind(gift.payment_id.get())
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let sets = sqlx::query_scalar("select count(*) from ledger_sets where payment_id = $1")
        .bind(gift.payment_id.get())
        .fetch_one(&world.pool)
        .await
        .unwrap();
    (accounts, sets)
}

pub async fn faults(world: &World, faults: &Value) {
    let request = reqwest::Client::new().post(format!("{}/_sim/faults", world.psp.url));
    let reply = request.json(faults).send().await.unwrap();
    assert!(
        reply.status().is_success(),
        "{}",
        reply.text().await.unwrap()
    );
}

async fn paid(world: &World, capture: Capture) -> (Gift, Open) {
    let gift = world.gift_of(2500, capture, None);
    let open = world.open(&gift).await;
    assert!(
        world
            .psp
            .confirm(&open, "pm_card_visa")
            .await
            .status()
            .is_success()
    );
    (gift, open)
}

#[tokio::test]
async fn with_webhooks_off_for_ever_every_payment_reaches_its_true_state() {
    let world = quiet_world().await;
    let (taken, _) = paid(&world, Capture::Automatic).await;
    let (held, _) = paid(&world, Capture::Manual).await;
    let (captured, open) = paid(&world, Capture::Manual).await;
    world.psp.capture(&open).await;
    let declined = world.gift();
    let open = world.open(&declined).await;
    world.psp.confirm(&open, "pm_card_chargeDeclined").await;
    let cancelled = world.gift();
    let open = world.open(&cancelled).await;
    let cancel = |open: &Open| format!("/v1/payment_intents/{}/cancel", open.intent);
    world.dashboard(&cancel(&open), &[], None).await;
    let (released, open) = paid(&world, Capture::Manual).await;
    let form = [("cancellation_reason", "requested_by_customer")];
    world.dashboard(&cancel(&open), &form, None).await;
    for (gift, state) in [
        (&held, State::Authorized),
        (&cancelled, State::Cancelled),
        (&released, State::Cancelled),
        (&taken, State::Completed),
        (&captured, State::Completed),
    ] {
        world.until(gift, state.as_str()).await;
    }
    assert_eq!(
        world.state(&declined).await,
        "PENDING",
        "it can still be paid"
    );
    let steps = transitions(&world, &taken).await;
    let states: Vec<_> = steps.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(states, ["AUTHORIZED", "CAPTURED", "COMPLETED"]);
    let delivered = "select count(*) from webhook_events where source = 'delivered'";
    let delivered: i64 = sqlx::query_scalar(delivered)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(delivered, 0, "nobody told us: we asked");
    let untraced: i64 =
        sqlx::query_scalar("select count(*) from payment_transitions where trace_id is null")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(untraced, 0, "each step can be found in the traces");
}

#[tokio::test]
async fn a_settlement_is_booked_once_with_the_providers_fee() {
    let world = quiet_world().await;
    let (gift, _) = paid(&world, Capture::Automatic).await;
    world.until(&gift, "COMPLETED").await;
    let owed = vec![
        ("campaign_payable".to_owned(), -2500),
        ("fees".to_owned(), 103),
        ("psp_settled".to_owned(), 2397),
    ];
    assert_eq!(books(&world, &gift).await, (owed, 2));
    let waits: Option<chrono::DateTime<chrono::Utc>> =
        eventually("nobody looks at it any more", async || {
            let at = retry_at(&world, &gift).await;
            at.is_none().then_some(at)
        })
        .await;
    assert_eq!(waits, None);
}

#[tokio::test]
async fn a_payment_that_does_not_move_is_looked_at_less_and_less_often() {
    let world = quiet_world().await;
    let gift = world.gift();
    world.open(&gift).await;
    eventually("it was looked at four times", async || {
        let tries: i32 = sqlx::query_scalar("select tries from payments where payment_id = $1")
            .bind(gift.payment_id.get())
            .fetch_one(&world.pool)
            .await
            .unwrap();
        let wait = retry_at(&world, &gift).await? - world.clock.now();
        (tries >= 4 && wait > chrono::Duration::milliseconds(500)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn webhooks_get_a_head_start_and_then_nobody_looks() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let (gift, _) = paid(&world, Capture::Automatic).await;
    world.until(&gift, "CAPTURED").await;
    assert_eq!(retry_at(&world, &gift).await, None);
    let causes = transitions(&world, &gift).await;
    assert!(
        causes
            .iter()
            .all(|(_, cause)| cause.starts_with("payment_intent.")),
        "{causes:?}"
    );
}

async fn retry_at(world: &World, gift: &Gift) -> Option<chrono::DateTime<chrono::Utc>> {
    sqlx::query_scalar("select retry_at from payments where payment_id = $1")
        .bind(gift.payment_id.get())
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_provider_that_does_not_know_an_intent_any_more_is_a_matter_for_a_person() {
    let world = quiet_world().await;
    let gift = world.gift();
    world.open(&gift).await;
    sqlx::query("update payments set provider_ref = 'pi_of_nobody' where payment_id = $1")
        .bind(gift.payment_id.get())
        .execute(&world.pool)
        .await
        .unwrap();
    eventually("a matter is open", async || {
        open_matter(&world, "RECONCILIATION", "pi_of_nobody").await
    })
    .await;
    assert_eq!(world.state(&gift).await, "PENDING");
}

/// The detail of an open matter.
pub async fn open_matter(world: &World, kind: &str, subject: &str) -> Option<String> {
    sqlx::query_scalar(
        "select detail from exceptions where kind = $1 and subject = $2 and closed_at is null",
    )
    .bind(kind)
    .bind(subject)
    .fetch_optional(&world.pool)
    .await
    .unwrap()
}

/// Waits until nobody has to look at a matter any more.
pub async fn until_closed(world: &World, kind: &str, subject: &str) {
    eventually("the matter is closed", async || {
        let open = open_matter(world, kind, subject).await;
        open.is_none().then_some(())
    })
    .await;
}

/// How much money a matter is about.
pub async fn matters_amount(world: &World, subject: &str) -> (i64, String) {
    sqlx::query_as("select amount_minor, currency from exceptions where subject = $1")
        .bind(subject)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_provider_that_is_too_busy_is_left_alone_and_asked_again() {
    let world = quiet_world().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    let limit = reqwest::Client::new().post(format!("{}/_sim/rate", world.psp.url));
    limit.json(&json!({"per_second": 1})).send().await.unwrap();
    world.until(&gift, "COMPLETED").await;
}
