//! Order and repetition of deliveries make no difference.

use common::events::Capture;
use futures::future::join_all;

use crate::world::{Plan, World};

/// Every order of `{authorized, authorized, captured, captured}`, the two of a kind told apart.
fn orders() -> Vec<[usize; 4]> {
    let mut orders = Vec::new();
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| *c != a && *c != b) {
                orders.push([a, b, c, 6 - a - b - c]);
            }
        }
    }
    orders
}

#[tokio::test]
async fn all_24_orders_of_authorized_and_captured_each_twice_end_the_same() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    world.psp.pause_webhooks().await;
    let orders = orders();
    assert_eq!(orders.len(), 24);
    let played = orders.iter().map(async |order| {
        let gift = world.gift_of(2500, Capture::Manual, None);
        let open = world.open(&gift).await;
        world.psp.confirm(&open, "pm_card_visa").await;
        world.psp.capture(&open).await;
        let authorized = world
            .psp
            .event(&open.intent, "payment_intent.amount_capturable_updated")
            .await;
        let captured = world
            .psp
            .event(&open.intent, "payment_intent.succeeded")
            .await;
        for event in order {
            let event = if *event < 2 { &authorized } else { &captured };
            assert_eq!(world.psp.resend(event).await, 200, "{order:?}");
        }
        let payment = world.payment(&gift).await;
        assert_eq!(payment["state"], "CAPTURED", "{order:?}");
        assert_eq!(payment["authorized"]["amount"], 2500, "{order:?}");
        assert_eq!(payment["captured"]["amount"], 2500, "{order:?}");
        // One step at a time where each was told; one with an implied step where the capture came first.
        let captured_first = order[0] >= 2;
        let version = if captured_first { 2 } else { 3 };
        assert_eq!(payment["version"], version, "{order:?}");
        let history = [
            (
                "PENDING".to_owned(),
                "AUTHORIZED".to_owned(),
                captured_first,
            ),
            ("AUTHORIZED".to_owned(), "CAPTURED".to_owned(), false),
        ];
        assert_eq!(world.history(&gift).await, history, "{order:?}");
    });
    join_all(played).await;
    assert_eq!(world.psp.charges().await, 24);
}

#[tokio::test]
async fn duplicated_reordered_and_delayed_webhooks_end_in_the_same_state() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let faults = serde_json::json!({
        "seed": 42, "duplicate": 0.5, "reorder": 0.5, "delay": {"probability": 0.5, "max_ms": 100},
    });
    let path = format!("{}/_sim/faults", world.psp.url);
    let set = world
        .service
        .client
        .post(path)
        .json(&faults)
        .send()
        .await
        .unwrap();
    assert!(set.status().is_success());
    let gifts: Vec<_> = (0..20).map(|_| world.gift()).collect();
    let paid = gifts.iter().map(async |gift| {
        let open = world.open(gift).await;
        world.psp.confirm(&open, "pm_card_chargeDeclined").await;
        world.psp.confirm(&open, "pm_card_visa").await;
    });
    join_all(paid).await;
    for gift in &gifts {
        world.until(gift, "CAPTURED").await;
    }
    assert_eq!(world.psp.charges().await, 20);
    for gift in &gifts {
        let captures = world
            .history(gift)
            .await
            .into_iter()
            .filter(|(_, to, _)| to == "CAPTURED");
        assert_eq!(captures.count(), 1);
    }
}
