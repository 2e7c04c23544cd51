//! `GET /api/payments/{id}/checkout`

use chassis::clock::Clock;
use chrono::Duration;
use common::{ids::PaymentId, payment::State};
use futures::future::join;
use reqwest::{Client, Response, StatusCode, redirect::Policy};
use serde_json::Value;
use testkit::problem_code;

use crate::world::{Gift, Open, Plan, Table, World};

async fn visit(world: &World, id: PaymentId, ticket: Option<&str>) -> Response {
    let browser = Client::builder().redirect(Policy::none()).build().unwrap();
    let query = ticket
        .map(|ticket| format!("?ticket={ticket}"))
        .unwrap_or_default();
    let path = format!("/api/payments/{id}/checkout{query}");
    browser.get(world.service.at(&path)).send().await.unwrap()
}

async fn location(world: &World, gift: &Gift) -> String {
    let reply = visit(world, gift.payment_id, Some(&gift.sealed)).await;
    assert_eq!(reply.status(), StatusCode::SEE_OTHER);
    assert_eq!(reply.headers()["cache-control"], "no-store");
    assert_eq!(reply.headers()["referrer-policy"], "no-referrer");
    reply.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_browser_is_sent_to_the_page_and_a_second_visit_to_the_same() {
    let world = World::start().await;
    let gift = world.gift();
    let first = location(&world, &gift).await;
    assert!(
        first.starts_with(&format!("{}/pay/pi_", world.psp.url)),
        "{first}"
    );
    assert_eq!(location(&world, &gift).await, first);
    let page = world.service.client.get(&first).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn a_double_click_by_api_and_by_page_is_one_charge() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    let body = gift.body();
    let (url, reply) = join(location(&world, &gift), world.post(&body)).await;
    let reply: Value = reply.json().await.unwrap();
    assert_eq!(reply["checkout_url"], url);
    let open = Open::from(&reply);
    let form = [
        ("client_secret", open.client_secret.as_str()),
        ("action", "pay"),
    ];
    let page = world.service.client.post(&url).form(&form).send();
    let (by_page, by_api) = join(page, world.psp.confirm(&open, "pm_card_visa")).await;
    assert!(by_page.unwrap().status().as_u16() < 500 && by_api.status().as_u16() < 500);
    world.until(&gift, "CAPTURED").await;
    assert_eq!(world.psp.intents().await, 1);
    assert_eq!(world.psp.charges().await, 1);
}

#[tokio::test]
async fn without_the_payments_own_ticket_nothing_is_opened() {
    let clock = Clock::fixed(Clock::system().now());
    let world = World::of(Plan {
        clock: clock.clone(),
        ..Plan::default()
    })
    .await;
    let (gift, other) = (world.gift(), world.gift());
    let second = PaymentId::of(gift.ticket.pledge_id, 2);
    let table = [
        (gift.payment_id, None, "ticket_required"),
        (gift.payment_id, Some(""), "ticket_invalid"),
        (
            gift.payment_id,
            Some(other.sealed.as_str()),
            "ticket_invalid",
        ),
        (
            gift.payment_id,
            Some(gift.guest_token.as_str()),
            "ticket_invalid",
        ),
        (second, Some(gift.sealed.as_str()), "ticket_invalid"),
    ];
    for (id, ticket, code) in table {
        let reply = visit(&world, id, ticket).await;
        assert_eq!(reply.status(), StatusCode::FORBIDDEN, "{ticket:?}");
        assert_eq!(problem_code(reply).await, code, "{ticket:?}");
    }
    clock.advance(Duration::minutes(31));
    let expired = visit(&world, gift.payment_id, Some(&gift.sealed)).await;
    assert_eq!(problem_code(expired).await, "ticket_expired");
    assert_eq!(world.count(Table::Payments).await, 0);
    assert_eq!(world.psp.intents().await, 0);
}

#[tokio::test]
async fn a_paid_payment_is_closed() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    assert_eq!(world.verdict(&gift.captured(&open.intent)).await, "IMPLIED");
    assert_eq!(world.state(&gift).await, State::Captured.as_str());
    let reply = visit(&world, gift.payment_id, Some(&gift.sealed)).await;
    assert_eq!(reply.status(), StatusCode::CONFLICT);
    assert_eq!(problem_code(reply).await, "payment_closed");
}
