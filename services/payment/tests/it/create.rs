//! `POST /api/payments`

use chassis::clock::Clock;
use chrono::{DateTime, Duration};
use common::{
    auth::Role,
    events::Capture,
    ids::{PledgeId, UserId},
};
use futures::future::join_all;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::{problem_code, user_token};
use uuid::Uuid;

use crate::world::{Gift, Open, Plan, Table, World};

/// `POST /api/payments` without a ticket, with these headers.
async fn post_with(world: &World, gift: &Gift, headers: &[(&str, &str)]) -> Response {
    post_body(world, &json!({"pledge_id": gift.ticket.pledge_id}), headers).await
}

async fn post_body(world: &World, body: &Value, headers: &[(&str, &str)]) -> Response {
    let request = world
        .service
        .client
        .post(world.service.at("/api/payments"))
        .json(body);
    let request = request.header("idempotency-key", Uuid::new_v4().to_string());
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_ticket_opens_the_payment_and_its_one_intent() {
    let world = World::start().await;
    let gift = world.gift();
    let reply = world.post(&gift.body()).await;
    assert_eq!(reply.status(), StatusCode::CREATED);
    assert_eq!(reply.headers()["cache-control"], "no-store");
    let body: Value = reply.json().await.unwrap();
    let payment = &body["payment"];
    assert_eq!(payment["id"], gift.payment_id.to_string());
    assert_eq!(payment["pledge_id"], gift.ticket.pledge_id.to_string());
    assert_eq!(payment["state"], "PENDING");
    assert_eq!(
        payment["amount"],
        json!({"amount": 2500, "currency": "USD"})
    );
    assert_eq!(
        (&payment["attempt"], &payment["version"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(body["expires_at"], json!(gift.ticket.pledge_expires_at));
    let open = Open::from(&body);
    assert_eq!(open.payment_id, gift.payment_id.to_string());
    let url = format!(
        "{}/pay/{}?client_secret={}",
        world.psp.url, open.intent, open.client_secret
    );
    assert_eq!(body["checkout_url"], url);
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn asked_again_it_answers_with_the_same_payment_and_intent() {
    let world = World::start().await;
    let gift = world.gift();
    let first = world.post(&gift.body()).await;
    let first: Value = first.json().await.unwrap();
    let again = world.post(&gift.body()).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert!(again.headers().get("idempotent-replayed").is_none());
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    assert_eq!(world.psp.intents().await, 1);
    assert_eq!(world.count(Table::Payments).await, 1);
}

#[tokio::test]
async fn the_same_key_gets_the_same_bytes() {
    let world = World::start().await;
    let gift = world.gift();
    let key = Uuid::new_v4().to_string();
    let first = world.post_with_key(&key, &gift.body()).await;
    assert_eq!(first.status(), StatusCode::CREATED);
    let first = first.bytes().await.unwrap();
    for _ in 0..2 {
        let again = world.post_with_key(&key, &gift.body()).await;
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(again.headers()["content-type"], "application/json");
        assert_eq!(again.bytes().await.unwrap(), first);
    }
    let other = world.gift();
    let reused = world.post_with_key(&key, &other.body()).await;
    assert_eq!(reused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem_code(reused).await, "idempotency_key_reused");
    assert_eq!(world.psp.intents().await, 1, "a reused key has no effect");
}

#[tokio::test]
async fn a_stored_reply_is_replayed_after_the_pledge_has_lapsed_and_the_provider_is_gone() {
    let clock = Clock::fixed(Clock::system().now());
    let world = World::of(Plan {
        clock: clock.clone(),
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    let key = Uuid::new_v4().to_string();
    let first = world
        .post_with_key(&key, &gift.body())
        .await
        .bytes()
        .await
        .unwrap();
    clock.advance(Duration::minutes(31));
    let again = world.post_with_key(&key, &gift.body()).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.bytes().await.unwrap(), first);
}

#[tokio::test]
async fn a_user_and_a_guest_with_one_key_are_independent() {
    let world = World::start().await;
    let (one, other) = (world.gift(), world.gift());
    let key = Uuid::new_v4().to_string();
    assert_eq!(
        world.post_with_key(&key, &one.body()).await.status(),
        StatusCode::CREATED
    );
    let token = user_token(UserId::new(), Role::Donor);
    let request = world
        .service
        .client
        .post(world.service.at("/api/payments"))
        .json(&other.body());
    let reply = request
        .header("idempotency-key", &key)
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), StatusCode::CREATED);
    assert!(reply.headers().get("idempotent-replayed").is_none());
}

#[tokio::test]
async fn twenty_clicks_at_once_open_one_intent() {
    let world = World::start().await;
    let gift = world.gift();
    let body = gift.body();
    let replies = join_all((0..20).map(|_| world.post(&body))).await;
    let mut secrets = Vec::new();
    for reply in replies {
        assert_eq!(reply.status(), StatusCode::CREATED);
        secrets.push(Open::from(&reply.json().await.unwrap()).client_secret);
    }
    secrets.dedup();
    assert_eq!(secrets.len(), 1);
    assert_eq!(world.psp.intents().await, 1);
    assert_eq!(world.count(Table::Payments).await, 1);
}

#[tokio::test]
async fn one_key_sent_twenty_times_at_once_has_one_reply() {
    let world = World::start().await;
    let gift = world.gift();
    let (body, key) = (gift.body(), Uuid::new_v4().to_string());
    let replies = join_all((0..20).map(|_| world.post_with_key(&key, &body))).await;
    let mut bodies = Vec::new();
    for reply in replies {
        assert_eq!(reply.status(), StatusCode::CREATED);
        bodies.push(reply.bytes().await.unwrap());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(world.count(Table::Idempotency).await, 1);
}

#[tokio::test]
async fn after_the_ticket_the_guest_token_or_the_account_still_pay() {
    let clock = Clock::fixed(Clock::system().now());
    let world = World::of(Plan {
        clock: clock.clone(),
        ..Plan::default()
    })
    .await;
    let user = UserId::new();
    let mut ticket = world.gift_of(2500, Capture::Automatic, Some(user)).ticket;
    ticket.pledge_expires_at += Duration::hours(1);
    let gift = world.sign(ticket);
    let intent = world.open(&gift).await.intent;
    clock.advance(Duration::minutes(31));
    let expired = world.post(&gift.body()).await;
    assert_eq!(expired.status(), StatusCode::FORBIDDEN);
    assert_eq!(problem_code(expired).await, "ticket_expired");
    let token = testkit::issuer()
        .access(user, Role::Donor, clock.now())
        .unwrap();
    let bearer = format!("Bearer {token}");
    let table: [(&str, &str); 2] = [
        ("x-guest-token", &gift.guest_token),
        ("authorization", &bearer),
    ];
    for header in table {
        let with_ticket = post_body(&world, &gift.body(), &[header]).await;
        assert_eq!(with_ticket.status(), StatusCode::CREATED, "{}", header.0);
        let without = post_with(&world, &gift, &[header]).await;
        assert_eq!(without.status(), StatusCode::CREATED, "{}", header.0);
        assert_eq!(Open::from(&without.json().await.unwrap()).intent, intent);
    }
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn nobody_else_may_pay() {
    let world = World::start().await;
    let (gift, other) = (world.gift(), world.gift());
    world.open(&gift).await;
    let body = |ticket: &str| json!({"pledge_id": gift.ticket.pledge_id, "ticket": ticket});
    let forged = gift.sealed.replacen(|_: char| true, "A", 1) + "x";
    for ticket in [other.sealed.as_str(), &forged, "", "a.b", &gift.guest_token] {
        let reply = world.post(&body(ticket)).await;
        assert_eq!(reply.status(), StatusCode::FORBIDDEN, "{ticket}");
        assert_eq!(problem_code(reply).await, "ticket_invalid", "{ticket}");
    }
    let stranger = format!("Bearer {}", user_token(UserId::new(), Role::Donor));
    let table: [&[(&str, &str)]; 4] = [
        &[],
        &[("x-guest-token", &other.guest_token)],
        &[("x-guest-token", &gift.sealed)],
        &[("authorization", &stranger)],
    ];
    for headers in table {
        let reply = post_with(&world, &gift, headers).await;
        assert_eq!(reply.status(), StatusCode::FORBIDDEN);
        assert_eq!(problem_code(reply).await, "ticket_required");
    }
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn a_guest_token_without_a_payment_is_told_to_wait() {
    let world = World::start().await;
    let gift = world.gift();
    let reply = post_with(&world, &gift, &[("x-guest-token", &gift.guest_token)]).await;
    assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    assert_eq!(reply.headers()["retry-after"], "1");
    assert_eq!(problem_code(reply).await, "payment_not_found");
}

#[tokio::test]
async fn a_lapsed_pledge_is_gone_and_a_paid_one_closed() {
    let clock = Clock::fixed(Clock::system().now());
    let world = World::of(Plan {
        clock: clock.clone(),
        ..Plan::default()
    })
    .await;
    let mut ticket = world.gift().ticket;
    ticket.expires_at += Duration::hours(1);
    let (lapsing, mut unseen) = (world.sign(ticket.clone()), ticket.clone());
    unseen.pledge_id = PledgeId::new();
    let unseen = world.sign(unseen);
    let open = world.open(&lapsing).await;
    let paid = world.gift();
    let intent = world.open(&paid).await.intent;
    assert_eq!(world.verdict(&paid.captured(&intent)).await, "IMPLIED");
    let closed = world.post(&paid.body()).await;
    assert_eq!(closed.status(), StatusCode::CONFLICT);
    assert_eq!(problem_code(closed).await, "payment_closed");
    clock.advance(Duration::minutes(31));
    for gift in [&lapsing, &unseen] {
        let gone = world.post(&gift.body()).await;
        assert_eq!(gone.status(), StatusCode::GONE);
        assert_eq!(problem_code(gone).await, "pledge_expired");
    }
    assert_eq!(
        world.count(Table::Payments).await,
        2,
        "nothing is made for a lapsed pledge"
    );
    assert_eq!(world.state(&lapsing).await, "PENDING", "{}", open.intent);
}

#[tokio::test]
async fn a_manual_campaign_holds_the_money_first() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let gift = world.gift_of(2500, Capture::Manual, None);
    let open = world.open(&gift).await;
    let confirmed: Value = world
        .psp
        .confirm(&open, "pm_card_visa")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(confirmed["status"], "requires_capture");
    world.until(&gift, "AUTHORIZED").await;
    let payment = world.payment(&gift).await;
    assert_eq!(payment["authorized"]["amount"], 2500);
    assert_eq!(payment["captured"]["amount"], 0);
    world.psp.capture(&open).await;
    world.until(&gift, "CAPTURED").await;
    assert_eq!(world.history(&gift).await.len(), 2);
}

#[tokio::test]
async fn a_payment_that_the_provider_will_never_take_has_failed() {
    let world = World::start().await;
    // Below the provider's minimum.
    let gift = world.gift_of(10, Capture::Automatic, None);
    let refused = world.post(&gift.body()).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem_code(refused).await, "payment_refused");
    let payment = world.payment(&gift).await;
    assert_eq!(
        (&payment["state"], &payment["version"]),
        (&json!("FAILED"), &json!(2))
    );
    assert_eq!(payment["failure"]["code"], "amount_too_small");
    let history = [("PENDING".to_owned(), "FAILED".to_owned(), false)];
    assert_eq!(world.history(&gift).await, history);
    let closed = world.post(&gift.body()).await;
    assert_eq!(problem_code(closed).await, "payment_closed");
    assert_eq!(
        world.count(Table::Idempotency).await,
        0,
        "refusals are not stored"
    );
}

#[tokio::test]
async fn no_client_secret_is_stored_in_clear() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    world.until(&gift, "CAPTURED").await;
    let needle = open.client_secret.as_bytes();
    let columns: Vec<Vec<u8>> = sqlx::query_scalar(
        "select body from idempotency union all select body from webhook_events
         union all select convert_to(p::text, 'utf8') from payments p
         union all select convert_to(t::text, 'utf8') from payment_transitions t",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert!(columns.len() >= 4);
    for bytes in columns {
        assert!(!bytes.windows(needle.len()).any(|window| window == needle));
    }
    // Sealed, it is still there: the support of a dispute needs the raw delivery.
    let (event, body): (String, Vec<u8>) = sqlx::query_as(
        "select event_id, body from webhook_events where kind = 'payment_intent.succeeded'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let sealer = payment::seal::Sealer::new(&testkit::token_secret());
    let raw = sealer.open(event.as_bytes(), &body).unwrap();
    assert!(raw.windows(needle.len()).any(|window| window == needle));
}

#[tokio::test]
async fn the_call_is_frozen_before_it_is_made() {
    let world = World::of(Plan {
        up: false,
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    let reply = world.post(&gift.body()).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (key, request, outcome, requested): (
        String,
        Vec<u8>,
        String,
        Option<DateTime<chrono::Utc>>,
    ) = sqlx::query_as("select psp_key, psp_request, outcome, requested_at from payments")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(key, format!("pay:{}", gift.payment_id));
    assert!(request.starts_with(b"amount=2500&currency=usd&capture_method=automatic&"));
    assert_eq!(outcome, "unknown");
    assert!(requested.is_some());
}
