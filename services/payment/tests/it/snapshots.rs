//! Payments as they stand, for other services.

use std::collections::BTreeSet;

use common::{
    events::{PaymentEvent, PaymentSnapshots},
    ids::PaymentId,
    payment::State,
};
use reqwest::{Response, StatusCode};
use secrecy::ExposeSecret;
use testkit::{issuer, problem_code, service_secret};

use crate::{telling::Ear, world::World};

async fn ask(world: &World, query: &str, credential: Option<&str>) -> Response {
    let url = world.service.at(&format!("/internal/payments{query}"));
    let request = world.service.client.get(url);
    let request = match credential {
        Some(credential) => request.header("authorization", credential),
        None => request,
    };
    request.send().await.unwrap()
}

async fn page(world: &World, query: &str) -> PaymentSnapshots {
    let credential = format!("Bearer {}", service_secret().expose_secret());
    let reply = ask(world, query, Some(&credential)).await;
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.headers()["cache-control"], "no-store");
    reply.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_in_the_order_of_the_ids_give_every_payment_once() {
    let world = World::start().await;
    let mut opened = BTreeSet::new();
    for _ in 0..7 {
        let gift = world.gift();
        world.open(&gift).await;
        opened.insert(gift.payment_id);
    }
    let mut found: Vec<PaymentId> = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = page(&world, &query).await;
        found.extend(page.payments.iter().map(|payment| payment.payment_id));
        let Some(next) = page.next else { break };
        assert_eq!(found.last(), Some(&next));
        query = format!("?limit=3&after={next}");
    }
    assert_eq!(found, opened.into_iter().collect::<Vec<_>>());
    let whole = page(&world, "").await;
    assert_eq!((whole.payments.len(), whole.next), (7, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_what_the_newest_event_tells() {
    let world = World::start().await;
    let ear = Ear::on(&world);
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.verdict(&gift.declined(&open.intent)).await;
    world.verdict(&gift.captured(&open.intent)).await;
    let told = ear.told(&gift, 3).await;
    let newest = told.iter().map(|(_, event)| event);
    let newest = newest.max_by_key(|event| event.version).unwrap();
    assert_eq!(newest.state, State::Captured);
    let snapshot = page(&world, "").await.payments.remove(0);
    let without_its_move = PaymentEvent {
        previous: None,
        implied: Vec::new(),
        ..newest.clone()
    };
    assert_eq!(snapshot, without_its_move);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_service_may_read_them() {
    let world = World::start().await;
    let admin = issuer().access(
        common::ids::UserId::new(),
        common::auth::Role::Admin,
        world.clock.now(),
    );
    let secret = service_secret();
    let secret = secret.expose_secret();
    let refused = [
        None,
        Some("Bearer ".to_owned()),
        Some("Bearer another secret of thirty-two bytes".to_owned()),
        Some(format!("Bearer {}", &secret[1..])),
        Some(format!("Basic {secret}")),
        Some(format!("Bearer {}", admin.unwrap())),
    ];
    for credential in refused {
        let reply = ask(&world, "", credential.as_deref()).await;
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{credential:?}");
        assert_eq!(problem_code(reply).await, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_be_is_refused() {
    let world = World::start().await;
    let credential = format!("Bearer {}", service_secret().expose_secret());
    for (query, code) in [
        ("?limit=0", "invalid_limit"),
        ("?limit=1001", "invalid_limit"),
        ("?limit=x", "invalid_query"),
        ("?after=x", "invalid_query"),
    ] {
        let reply = ask(&world, query, Some(&credential)).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(problem_code(reply).await, code, "{query}");
    }
}
