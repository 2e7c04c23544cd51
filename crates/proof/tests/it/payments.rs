//! Paying: what donors do twice, too fast, or with a bad card, through the whole fleet.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use testkit::eventually;
use uuid::Uuid;

use crate::harness::{Gift, Intent, World, as_a_client, calm, success};

#[test]
fn a_declined_card_leaves_the_payment_open_and_the_next_card_pays_the_same_intent() {
    calm(async |world| {
        let (gift, intent) = opened(world).await;
        for _ in 0..2 {
            let declined = world
                .provider
                .confirm(&intent, "pm_card_chargeDeclined")
                .await;
            assert_eq!(declined.status(), StatusCode::PAYMENT_REQUIRED);
            let error: Value = declined.json().await.expect("JSON");
            assert_eq!(error["error"]["code"], "card_declined");
        }
        let failure = eventually("the decline is shown", async || {
            let payment = world.payment(&gift).await?;
            payment["failure"]["code"]
                .as_str()
                .map(|code| (code.to_owned(), payment["state"].clone()))
        });
        assert_eq!(
            failure.await,
            ("card_declined".to_owned(), "PENDING".into())
        );
        // The donor comes back, and finds the same intent.
        assert_eq!(world.open(&gift).await, intent);
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.given_once(&gift).await;
    });
}

#[test]
fn a_decline_on_the_page_can_be_paid_on_the_same_page() {
    calm(async |world| {
        let (gift, intent) = opened(world).await;
        let declined = click(world, &intent, "decline").await;
        assert!(
            declined.contains("You were not charged and can try again"),
            "{declined}"
        );
        let paid = click(world, &intent, "pay").await;
        assert!(paid.contains("Your payment was received"), "{paid}");
        world.given_once(&gift).await;
    });
}

#[test]
fn a_double_click_on_pay_charges_once() {
    calm(async |world| {
        let (gift, intent) = opened(world).await;
        let clicks = join_all((0..5).map(|_| click(world, &intent, "pay"))).await;
        let received = clicks
            .iter()
            .filter(|page| page.contains("Your payment was received"));
        assert_eq!(received.count(), 1, "{clicks:?}");
        let charged_once = clicks
            .iter()
            .filter(|page| page.contains("You were charged once"));
        assert_eq!(charged_once.count(), 4, "{clicks:?}");
        world.given_once(&gift).await;
    });
}

#[test]
fn a_double_confirmation_by_the_api_charges_once() {
    calm(async |world| {
        let (gift, intent) = opened(world).await;
        let both = join_all((0..5).map(|_| world.provider.confirm(&intent, "pm_card_visa"))).await;
        let paid = both.iter().filter(|reply| reply.status() == StatusCode::OK);
        assert_eq!(paid.count(), 1, "{both:?}");
        world.given_once(&gift).await;
    });
}

#[test]
fn a_payment_that_is_opened_ten_times_at_once_has_one_intent() {
    calm(async |world| {
        let campaign = world.campaign().await;
        let gift = world.pledge(&campaign, 2200).await;
        let key = Uuid::new_v4();
        // Five times under one key, five times under keys of their own, against the pledge's event, in two processes.
        let keys = (0..10).map(|n| if n % 2 == 0 { key } else { Uuid::new_v4() });
        let opened = join_all(keys.map(|key| world.open_with(&gift, key))).await;
        assert!(
            opened.iter().all(|intent| *intent == opened[0]),
            "{opened:?}"
        );
        success(world.provider.confirm(&opened[0], "pm_card_visa").await).await;
        world.given_once(&gift).await;
    });
}

#[test]
fn a_paid_payment_cannot_be_opened_again() {
    calm(async |world| {
        let (gift, intent) = opened(world).await;
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        world.until_payment(&gift, "CAPTURED").await;
        let again = world.try_open(&gift, Uuid::new_v4()).await;
        assert_eq!(again.status(), StatusCode::CONFLICT);
        assert_eq!(testkit::problem_code(again).await, "payment_closed");
        world.given_once(&gift).await;
    });
}

/// A gift whose payment is open.
async fn opened(world: &World) -> (Gift, Intent) {
    let campaign = world.campaign().await;
    let gift = world.pledge(&campaign, 1800).await;
    let intent = world.open(&gift).await;
    (gift, intent)
}

/// Clicks a button of the pay page, and gives the page that comes.
async fn click(world: &World, intent: &Intent, action: &str) -> String {
    let (address, query) = intent.checkout_url.split_once('?').expect("a query");
    let reply = as_a_client("the page answers", || {
        world
            .client
            .post(address)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("{query}&action={action}"))
    });
    reply.await.text().await.expect("a page")
}
