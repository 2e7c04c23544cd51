//! Too many declined tries in an hour stop further payments of the donor, of the network and of the card.

use chassis::clock::Clock;
use chrono::Duration;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::problem_code;
use uuid::Uuid;

use crate::world::{Gift, Open, Plan, World};

/// A gift of somebody.
fn gift_of(world: &World, donor: &str) -> Gift {
    let mut ticket = world.gift().ticket;
    donor.clone_into(&mut ticket.donor_ref);
    world.sign(ticket)
}

async fn post(world: &World, gift: &Gift, from: &str) -> reqwest::Response {
    let request = world.service.client.post(world.service.at("/api/payments"));
    let request = request.header("idempotency-key", Uuid::new_v4().to_string());
    let request = request.header("x-forwarded-for", from).json(&gift.body());
    request.send().await.unwrap()
}

/// Opens a gift's payment and has it declined so often.
async fn declined(world: &World, donor: &str, from: &str, card: &str, kind: &str, times: usize) {
    let gift = gift_of(world, donor);
    let reply = post(world, &gift, from).await;
    assert_eq!(reply.status(), StatusCode::CREATED);
    let body: Value = reply.json().await.unwrap();
    let open = Open::from(&body);
    for _ in 0..times {
        decline_as(world, &gift, &open.intent, card, kind).await;
    }
}

/// Has a card declined.
async fn decline(world: &World, gift: &Gift, intent: &str, card: &str) {
    decline_as(world, gift, intent, card, "card_error").await;
}

async fn decline_as(world: &World, gift: &Gift, intent: &str, card: &str, kind: &str) {
    let error = json!({
        "type": kind, "code": "card_declined",
        "payment_method": {"type": "card", "card": {"fingerprint": card}},
    });
    let told = json!({"last_payment_error": error});
    let event = gift.news("payment_intent.payment_failed", intent, &told);
    assert_eq!(world.verdict(&event).await, "APPLIED");
}

async fn refused(world: &World, donor: &str, from: &str) -> bool {
    let reply = post(world, &gift_of(world, donor), from).await;
    if reply.status() == StatusCode::CREATED {
        return false;
    }
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: i64 = reply.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=3601).contains(&wait));
    assert_eq!(problem_code(reply).await, "payment_velocity");
    true
}

async fn world() -> (World, Clock) {
    let clock = Clock::fixed(Clock::system().now());
    let plan = Plan {
        clock: clock.clone(),
        ..Plan::default()
    };
    (World::of(plan).await, clock)
}

#[tokio::test]
async fn five_declines_of_a_donor_stop_that_donor_from_anywhere_for_an_hour() {
    let (world, clock) = world().await;
    declined(&world, "ada", "192.0.2.1", "card_1", "card_error", 3).await;
    declined(&world, "ada", "192.0.2.2", "card_2", "card_error", 1).await;
    assert!(
        !refused(&world, "ada", "192.0.2.3").await,
        "four are allowed"
    );
    declined(&world, "ada", "192.0.2.4", "card_3", "card_error", 1).await;
    let intents = world.psp.intents().await;
    assert!(refused(&world, "ada", "192.0.2.3").await);
    assert_eq!(world.psp.intents().await, intents, "nobody was asked");
    assert!(!refused(&world, "eve", "192.0.2.3").await, "another donor");
    clock.advance(Duration::minutes(59));
    assert!(refused(&world, "ada", "192.0.2.3").await);
    clock.advance(Duration::minutes(1));
    assert!(!refused(&world, "ada", "192.0.2.3").await);
}

#[tokio::test]
async fn of_many_payers_who_ask_at_once_each_is_told_of_their_own() {
    let (world, _) = world().await;
    declined(&world, "ada", "192.0.2.1", "card_1", "card_error", 5).await;
    let asked = (0..24).map(|n| {
        let donor = if n % 3 == 0 {
            "ada".to_owned()
        } else {
            format!("donor {n}")
        };
        let world = &world;
        async move { refused(world, &donor, &format!("198.51.100.{n}")).await }
    });
    let refused = futures::future::join_all(asked).await;
    let expected: Vec<bool> = (0..24).map(|n| n % 3 == 0).collect();
    assert_eq!(refused, expected);
}

#[tokio::test]
async fn five_declines_from_a_network_stop_that_network_whoever_gives() {
    let (world, _) = world().await;
    for (donor, host) in [
        ("a", "::1"),
        ("b", "::2"),
        ("c", "ffff::3"),
        ("d", "::4"),
        ("e", "::5"),
    ] {
        let from = format!(
            "2001:db8:0:1{}",
            if host.starts_with("ffff") {
                ":ffff::3"
            } else {
                host
            }
        );
        declined(&world, donor, &from, donor, "card_error", 1).await;
    }
    assert!(refused(&world, "f", "2001:db8:0:1::77").await);
    assert!(
        !refused(&world, "f", "2001:db8:0:2::77").await,
        "another network"
    );
}

#[tokio::test]
async fn five_declines_of_a_card_stop_whoever_has_tried_it() {
    let (world, _) = world().await;
    for (donor, from) in [
        ("a", "192.0.2.1"),
        ("b", "192.0.2.2"),
        ("c", "192.0.2.3"),
        ("d", "192.0.2.4"),
        ("e", "192.0.2.5"),
    ] {
        declined(&world, donor, from, "one card", "card_error", 1).await;
    }
    assert!(
        refused(&world, "a", "198.51.100.1").await,
        "a donor who tried it"
    );
    assert!(
        refused(&world, "f", "192.0.2.5").await,
        "a network that tried it"
    );
    assert!(!refused(&world, "f", "198.51.100.1").await);
}

async fn opened(world: &World, gift: &Gift, from: &str) -> Open {
    let reply = post(world, gift, from).await;
    assert_eq!(reply.status(), StatusCode::CREATED);
    Open::from(&reply.json().await.unwrap())
}

#[tokio::test]
async fn five_declines_call_off_what_donor_and_network_have_open_and_nothing_of_anybody_else() {
    let (world, _) = world().await;
    let of = |donor: &str, from: &'static str| (gift_of(&world, donor), from);
    let gifts = [
        of("ada", "192.0.2.1"),
        of("ada", "198.51.100.1"),
        of("b", "192.0.2.1"),
        of("c", "192.0.2.1"),
        of("e", "198.51.100.5"),
        of("f", "198.51.100.1"),
    ];
    let (stopped, spared) = gifts.split_at(4);
    let mut opens = Vec::new();
    for (gift, from) in &gifts {
        opens.push(opened(&world, gift, from).await);
    }
    for card in ["1", "2", "3", "4", "5"] {
        for (gift, _) in &gifts {
            assert_eq!(world.ending(gift).await, (None, false));
        }
        decline(&world, &gifts[0].0, &opens[0].intent, card).await;
    }
    for ((gift, _), open) in stopped.iter().zip(&opens) {
        world.until(gift, "FAILED").await;
        assert_eq!(world.psp.status(open).await, "canceled");
    }
    for ((gift, _), open) in spared.iter().zip(&opens[stopped.len()..]) {
        assert_eq!(world.ending(gift).await, (None, false));
        assert_eq!(world.psp.status(open).await, "requires_payment_method");
    }
}

#[tokio::test]
async fn five_declines_of_a_card_call_off_what_all_who_tried_it_have_open() {
    let (world, _) = world().await;
    let payers = [
        ("a", "192.0.2.1"),
        ("b", "192.0.2.2"),
        ("c", "192.0.2.3"),
        ("d", "192.0.2.4"),
        ("e", "192.0.2.5"),
    ];
    let mut tried = Vec::new();
    for (donor, from) in payers {
        let gift = gift_of(&world, donor);
        let open = opened(&world, &gift, from).await;
        tried.push((gift, open));
    }
    for (gift, open) in &tried {
        assert_eq!(world.ending(gift).await, (None, false));
        decline(&world, gift, &open.intent, "one card").await;
    }
    for (gift, open) in &tried {
        world.until(gift, "FAILED").await;
        assert_eq!(world.psp.status(open).await, "canceled");
    }
}

#[tokio::test]
async fn this_machine_itself_is_no_network_that_is_counted() {
    let (world, _) = world().await;
    for donor in ["a", "b", "c", "d", "e"] {
        declined(&world, donor, "127.0.0.1", donor, "card_error", 1).await;
    }
    assert!(!refused(&world, "f", "127.0.0.1").await);
}

#[tokio::test]
async fn a_failure_of_the_provider_counts_against_nobody() {
    let (world, _) = world().await;
    declined(&world, "ada", "192.0.2.1", "card", "api_error", 6).await;
    assert!(!refused(&world, "ada", "192.0.2.1").await);
}
