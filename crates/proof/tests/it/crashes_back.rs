//! A real payment service is killed at the worst line while held money is taken, money goes back, or a payment is called
//! off, and started again: at the provider it was done exactly once, and it is recorded.
//!
//! The provider's webhooks wait until the service has recovered by itself.

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::eventually;
use uuid::Uuid;

use crate::harness::{Gift, Intent, World, rough, success};

#[test]
fn a_crash_between_the_order_of_a_capture_and_its_call_takes_the_money_once() {
    rough(async |world| {
        let (gift, intent) = held(world).await;
        order(world, "payment.after_capture_written", &gift, "capture").await;
        let there = world.provider.intent(&intent.id).await;
        assert_eq!(there["status"], "requires_capture", "nobody was asked");
        taken_once(world, &gift, &intent).await;
    });
}

#[test]
fn a_crash_after_the_provider_took_held_money_and_before_we_noted_it_takes_it_once() {
    rough(async |world| {
        let (gift, intent) = held(world).await;
        order(world, "payment.after_captured", &gift, "capture").await;
        let there = world.provider.intent(&intent.id).await;
        assert_eq!(there["status"], "succeeded", "the provider has taken it");
        assert_eq!(state(world, &gift).await, "AUTHORIZED", "and we have not");
        taken_once(world, &gift, &intent).await;
    });
}

#[test]
fn a_crash_between_a_refund_and_its_call_gives_the_money_back_once() {
    rough(async |world| {
        let (gift, intent) = paid(world).await;
        arm(world, "payment.after_refund_stored").await;
        let path = format!("/api/payments/{}/refunds", gift.payment_id);
        lost(world, &path, &json!({ "reason": "given by mistake" })).await;
        assert_eq!(world.provider.refunds_of(&intent).await.len(), 0);
        given_back_once(world, &gift, &intent).await;
    });
}

#[test]
fn a_crash_after_the_provider_made_a_refund_of_the_rule_and_before_we_noted_it_makes_no_other() {
    rough(async |world| {
        let (gift, intent) = paid(world).await;
        arm(world, "payment.after_refund_made").await;
        let path = format!("/api/campaigns/{}/cancel", gift.wish.campaign);
        world
            .administer(&path, &json!({ "reason": "the well is dry" }))
            .await;
        world.until_dead("payment");
        assert_eq!(world.provider.refunds_of(&intent).await.len(), 1);
        assert_eq!(state(world, &gift).await, "CAPTURED", "we do not know it");
        given_back_once(world, &gift, &intent).await;
    });
}

#[test]
fn a_crash_between_the_order_of_a_void_and_its_call_releases_the_money_once() {
    rough(async |world| {
        let (gift, intent) = held(world).await;
        order(world, "payment.after_ending_written", &gift, "void").await;
        let there = world.provider.intent(&intent.id).await;
        assert_eq!(there["status"], "requires_capture", "nobody was asked");
        ended_once(world, &gift, &intent, "admin.cancelled").await;
    });
}

#[test]
fn a_crash_after_the_provider_cancelled_and_before_we_noted_it_ends_the_payment_once() {
    rough(async |world| {
        let gift = world.pledge(&world.campaign().await, 1900).await;
        let intent = world.open(&gift).await;
        arm(world, "payment.after_cancelled").await;
        let path = format!("/api/pledges/{}/cancel", gift.id);
        let request = world.post(&path, Uuid::new_v4(), &json!({}));
        let request = request.header("x-guest-token", &gift.guest_token);
        success(request.send().await.expect("the gateway answers")).await;
        world.until_dead("payment");
        let there = world.provider.intent(&intent.id).await;
        assert_eq!(there["status"], "canceled", "the provider has cancelled it");
        assert_eq!(state(world, &gift).await, "PENDING", "and we do not know");
        ended_once(world, &gift, &intent, "donor.cancelled").await;
    });
}

/// A gift whose money is held.
async fn held(world: &World) -> (Gift, Intent) {
    let campaign = world.campaign_with(json!({ "capture": "manual" })).await;
    let gift = world.pledge(&campaign, 1900).await;
    let intent = world.pay(&gift).await;
    world.until_payment(&gift, "AUTHORIZED").await;
    (gift, intent)
}

/// A gift whose money was taken.
async fn paid(world: &World) -> (Gift, Intent) {
    let gift = world.pledge(&world.campaign().await, 1900).await;
    let intent = world.pay(&gift).await;
    world.until_payment(&gift, "CAPTURED").await;
    (gift, intent)
}

/// Has the payment service die at a crash point, and hear nothing of the provider before.
async fn arm(world: &World, failpoint: &str) {
    world.arm("payment", failpoint).await;
    world.provider.pause().await;
}

/// An admin's request, which costs the payment service its life.
async fn lost(world: &World, path: &str, body: &Value) {
    let request = world.post(path, Uuid::new_v4(), body);
    let reply = request.bearer_auth(world.admin().await).send().await;
    let status = reply.expect("the gateway answers").status();
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    world.until_dead("payment");
}

/// The same, about held money.
async fn order(world: &World, failpoint: &str, gift: &Gift, what: &str) {
    arm(world, failpoint).await;
    let path = format!("/api/admin/payments/{}/{what}", gift.payment_id);
    lost(world, &path, &json!({})).await;
}

/// The state of the payment in the database, while its service is dead.
async fn state(world: &World, gift: &Gift) -> String {
    let id: Uuid = gift.payment_id.parse().expect("an id");
    sqlx::query_scalar("select state from payment.payments where payment_id = $1")
        .bind(id)
        .fetch_one(&world.db)
        .await
        .expect("the payment is there")
}

async fn taken_once(world: &World, gift: &Gift, intent: &Intent) {
    world.start_again("payment");
    world.until_payment(gift, "CAPTURED").await;
    assert_eq!(events(world, intent, "charge.captured").await, 1);
    let steps = "select count(*) from payment.payment_transitions
                 where payment_id = $1 and to_state = 'CAPTURED'";
    assert_eq!(world.count(steps, &gift.payment_id).await, 1);
    let open =
        "select count(*) from payment.captures where payment_id = $1 and retry_at is not null";
    eventually("nobody asks for it any more", async || {
        (world.count(open, &gift.payment_id).await == 0).then_some(())
    })
    .await;
    world.provider.resume().await;
    world.given_once(gift).await;
}

async fn given_back_once(world: &World, gift: &Gift, intent: &Intent) {
    world.start_again("payment");
    world.until_payment(gift, "REFUNDED").await;
    world.provider.resume().await;
    world.until_total(&gift.wish.campaign, "raised", 0).await;
    world.provider.until_delivered(&intent.id).await;
    world.until_heard().await;
    let refunds = world.provider.refunds_of(intent).await;
    assert_eq!(refunds.len(), 1, "one refund: {refunds:?}");
    assert_eq!(refunds[0]["amount"], gift.wish.amount);
    let known = "select count(*) from payment.refunds
                 where payment_id = $1 and status = 'SUCCEEDED' and psp_refund is not null";
    assert_eq!(world.count(known, &gift.payment_id).await, 1);
    let all = "select count(*) from payment.refunds where payment_id = $1";
    assert_eq!(world.count(all, &gift.payment_id).await, 1);
    let totals = world.totals(&gift.wish.campaign).await.expect("totals");
    assert_eq!(totals["refunded"]["amount"], gift.wish.amount, "{totals}");
}

async fn ended_once(world: &World, gift: &Gift, intent: &Intent, cause: &str) {
    world.start_again("payment");
    world.until_payment(gift, "CANCELLED").await;
    let there = world.provider.intent(&intent.id).await;
    assert_eq!(there["status"], "canceled");
    assert_eq!(events(world, intent, "payment_intent.canceled").await, 1);
    world.provider.resume().await;
    world.provider.until_delivered(&intent.id).await;
    world.until_heard().await;
    let id: Uuid = gift.payment_id.parse().expect("an id");
    let causes: Vec<String> = sqlx::query_scalar(
        "select cause from payment.payment_transitions where payment_id = $1 and to_state = 'CANCELLED'",
    )
    .bind(id)
    .fetch_all(&world.db)
    .await
    .expect("the steps can be read");
    assert_eq!(causes, [cause]);
}

/// How many events of this type the provider has made of an intent.
async fn events(world: &World, intent: &Intent, kind: &str) -> usize {
    let events = world.provider.events_of(&intent.id).await;
    events.iter().filter(|event| event.kind == kind).count()
}
