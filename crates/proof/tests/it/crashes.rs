//! A real process is killed at the worst line, and started again: one intent, one charge, one mail, the exact total.
//! The crashes between commit and publication and inside the webhook's transaction are F2 and B1 in `regressions`.

use reqwest::StatusCode;
use uuid::Uuid;

use crate::harness::{Gift, Intent, Wish, World, rough, success};

#[test]
fn a_crash_between_publishing_and_deleting_repeats_the_pledge_event_and_nothing_else() {
    rough(async |world| {
        let wish = Wish::new(&world.campaign().await, 3100);
        world.arm("pledge", "outbox.after_publish").await;
        // The reply may or may not be faster than the crash.
        let _reply = world
            .post("/api/pledges", wish.key, &wish.body)
            .send()
            .await;
        world.until_dead("pledge");
        world.start_again("pledge");
        let gift = Gift::of(&wish, world.send_at_last(&wish).await).await;
        world.until_quiet().await;
        let events = world.topics.records("cfa.pledge.events.v1", &gift.id);
        assert_eq!(events.len(), 2, "the event was published twice: {events:?}");
        assert_eq!(events[0].event_id, events[1].event_id);
        world.pay(&gift).await;
        world.given_once(&gift).await;
    });
}

#[test]
fn a_crash_between_publishing_and_deleting_repeats_the_payment_event_and_nothing_else() {
    rough(async |world| {
        let (gift, intent) = opened(world).await;
        world.arm("payment", "outbox.after_publish").await;
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.until_dead("payment");
        world.start_again("payment");
        world.given_once(&gift).await;
        let events = world.topics.records("cfa.payment.events.v1", &gift.id);
        let captured = events
            .iter()
            .filter(|event| event.payload["state"] == "CAPTURED");
        let ids: Vec<&str> = captured.map(|event| event.event_id.as_str()).collect();
        assert_eq!(ids.len(), 2, "the event was published twice: {events:?}");
        assert_eq!(ids[0], ids[1]);
    });
}

#[test]
fn a_crash_after_the_total_changed_and_before_its_offset_counts_the_gift_once() {
    rough(async |world| {
        let (gift, intent) = opened(world).await;
        world.arm("totals", "consumer.after_effect").await;
        // It would tell of the captured gift as well, and totals would perhaps hear that first.
        world.kill("pledge");
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.until_dead("totals");
        let counted = "select captured from totals.payment_watermarks where payment_id = $1";
        assert_eq!(
            world.count(counted, &gift.payment_id).await,
            1900,
            "the effect was committed"
        );
        world.start_again("totals");
        world.start_again("pledge");
        world.given_once(&gift).await;
    });
}

#[test]
fn a_crash_after_the_mail_was_queued_and_before_its_offset_sends_one_mail() {
    rough(async |world| {
        let (gift, intent) = opened(world).await;
        world.arm("notification", "consumer.after_effect").await;
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.until_dead("notification");
        let queued = "select count(*) from notification.deliveries where payment_id = $1";
        assert_eq!(
            world.count(queued, &gift.payment_id).await,
            1,
            "the effect was committed"
        );
        world.start_again("notification");
        world.given_once(&gift).await;
        assert_eq!(world.count(queued, &gift.payment_id).await, 1);
    });
}

#[test]
fn a_crash_after_the_provider_made_the_intent_and_before_we_noted_it_ends_with_that_intent() {
    rough(async |world| {
        let gift = world.pledge(&world.campaign().await, 1900).await;
        world.arm("payment", "payment.after_intent_created").await;
        let key = Uuid::new_v4();
        let lost = world.try_open(&gift, key).await;
        assert_eq!(lost.status(), StatusCode::BAD_GATEWAY);
        world.until_dead("payment");
        let made = world.provider.intents_of(&gift.payment_id).await;
        assert_eq!(made.len(), 1, "the provider has the intent");
        let noted = "select count(*) from payment.payments where payment_id = $1 and provider_ref is not null";
        assert_eq!(
            world.count(noted, &gift.payment_id).await,
            0,
            "and we do not know it"
        );
        world.start_again("payment");
        let intent = world.open_with(&gift, key).await;
        assert_eq!(made[0]["id"], *intent.id);
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.given_once(&gift).await;
    });
}

#[test]
fn a_payment_that_dies_while_a_donor_pays_hears_of_it_when_it_is_back() {
    rough(async |world| {
        let (gift, intent) = opened(world).await;
        world.kill("payment");
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.start_again("payment");
        world.given_once(&gift).await;
    });
}

/// A gift whose payment is open.
async fn opened(world: &World) -> (Gift, Intent) {
    let gift = world.pledge(&world.campaign().await, 1900).await;
    let intent = world.open(&gift).await;
    (gift, intent)
}
