//! Admins take held money, once, or release it.

use std::{sync::atomic::Ordering, time::Duration};

use common::{auth::Role, events::Capture, ids::UserId};
use payment::Cadences;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use testkit::{eventually, problem_code, user_token};

use crate::{
    desk::Desk,
    outage::Line,
    reconcile::{open_matter, until_closed},
    world::{Gift, Open, Plan, World, brisk},
};

async fn held(world: &World) -> (Gift, Open) {
    let gift = world.gift_of(2500, Capture::Manual, None);
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    world.deliver(&gift.authorized(&open.intent)).await;
    world.until(&gift, "AUTHORIZED").await;
    (gift, open)
}

fn path(gift: &Gift, what: &str) -> String {
    format!("/api/admin/payments/{}/{what}", gift.payment_id)
}

async fn capture(world: &World, gift: &Gift, body: Value) -> Response {
    world
        .admin(Method::POST, &path(gift, "capture"), &body)
        .await
}

async fn void(world: &World, gift: &Gift) -> Response {
    world
        .admin(Method::POST, &path(gift, "void"), &Value::Null)
        .await
}

fn usd(minor: i64) -> Value {
    json!({"amount": {"amount": minor, "currency": "USD"}})
}

#[tokio::test]
async fn a_part_of_held_money_is_taken_once_and_the_rest_is_released() {
    let world = World::start().await;
    let (gift, open) = held(&world).await;
    let reply = capture(&world, &gift, usd(1000)).await;
    assert_eq!(reply.status(), StatusCode::OK);
    let view: Value = reply.json().await.unwrap();
    assert_eq!(
        (&view["state"], &view["captured"]["amount"]),
        (&json!("CAPTURED"), &json!(1000))
    );
    let again = capture(&world, &gift, usd(1500)).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    assert_eq!(problem_code(again).await, "invalid_transition");
    // The webhook of the same capture.
    let told = json!({"status": "succeeded", "amount_received": 1000});
    let event = gift.news("payment_intent.succeeded", &open.intent, &told);
    assert_eq!(world.verdict(&event).await, "DUPLICATE");
    let hold: (i64, i64) = sqlx::query_as(
        "select posted_minor, released_minor from ledger_holds where payment_id = $1 and step = 'posted'",
    )
    .bind(gift.payment_id.get())
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(hold, (1000, 1500));
    let ledger = world.psp.ledger().await;
    let taken = ledger["charges"][0]["amount_captured"].as_i64();
    assert_eq!(taken.unwrap_or(1000), 1000, "{ledger}");
}

#[tokio::test]
async fn the_same_request_again_is_answered_with_the_same_bytes() {
    let world = World::start().await;
    let (gift, _) = held(&world).await;
    let (path, key) = (
        path(&gift, "capture"),
        "018f3a5e-7c1d-7000-8000-0123456789ab",
    );
    let first = world
        .admin_with_key(Method::POST, &path, key, &json!({}))
        .await;
    assert_eq!(first.status(), StatusCode::OK);
    let bytes = first.bytes().await.unwrap();
    let second = world
        .admin_with_key(Method::POST, &path, key, &json!({}))
        .await;
    assert_eq!(second.headers()["idempotent-replayed"], "true");
    assert_eq!(second.bytes().await.unwrap(), bytes);
    let other = world
        .admin_with_key(Method::POST, &path, key, &usd(1))
        .await;
    assert_eq!(problem_code(other).await, "idempotency_key_reused");
}

#[tokio::test]
async fn released_money_is_released_and_cannot_be_taken_any_more() {
    let world = World::start().await;
    let (gift, open) = held(&world).await;
    let reply = void(&world, &gift).await;
    assert_eq!(reply.status(), StatusCode::OK);
    let view: Value = reply.json().await.unwrap();
    assert_eq!(view["state"], "CANCELLED");
    assert_eq!(world.psp.status(&open).await, "canceled");
    assert_eq!(
        world.causes(&gift).await,
        [
            "payment_intent.amount_capturable_updated",
            "admin.cancelled"
        ]
    );
    let taken = capture(&world, &gift, json!({})).await;
    assert_eq!(problem_code(taken).await, "invalid_transition");
}

#[tokio::test]
async fn only_held_money_is_taken_or_released_and_never_more_of_it() {
    let world = World::start().await;
    let pending = world.gift_of(2500, Capture::Manual, None);
    world.open(&pending).await;
    assert_eq!(
        problem_code(capture(&world, &pending, json!({})).await).await,
        "invalid_transition"
    );
    assert_eq!(
        problem_code(void(&world, &pending).await).await,
        "invalid_transition"
    );
    let (gift, _) = held(&world).await;
    let euros = json!({"amount": {"amount": 100, "currency": "EUR"}});
    for body in [usd(0), usd(-1), usd(2501), euros] {
        let refused = capture(&world, &gift, body).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem_code(refused).await, "invalid_amount");
    }
    let unknown = world.gift();
    assert_eq!(
        problem_code(capture(&world, &unknown, json!({})).await).await,
        "not_found"
    );
    assert_eq!(
        problem_code(void(&world, &unknown).await).await,
        "not_found"
    );
    let donor = user_token(UserId::new(), Role::Donor);
    for what in ["capture", "void"] {
        let request = world
            .service
            .client
            .post(world.service.at(&path(&gift, what)));
        let request = request.header("idempotency-key", "018f3a5e-7c1d-7000-8000-0123456789ab");
        let refused = request
            .bearer_auth(&donor)
            .json(&json!({}))
            .send()
            .await
            .unwrap();
        assert_eq!(problem_code(refused).await, "forbidden");
    }
    assert_eq!(world.state(&gift).await, "AUTHORIZED");
}

#[tokio::test]
async fn a_capture_without_an_answer_is_accepted_and_told_later_under_the_same_key() {
    let world = World::of(Plan {
        timeout: Duration::from_secs(2),
        ..Plan::default()
    })
    .await;
    let (gift, open) = held(&world).await;
    let fault = json!({"timeout_after": {"probability": 1.0, "count": 1, "only": ["/capture"]}});
    world.psp.faults(&fault).await;
    let (path, key) = (
        path(&gift, "capture"),
        "018f3a5e-7c1d-7000-8000-0123456789ab",
    );
    let reply = world
        .admin_with_key(Method::POST, &path, key, &usd(1000))
        .await;
    assert_eq!(reply.status(), StatusCode::ACCEPTED);
    let view: Value = reply.json().await.unwrap();
    assert_eq!(view["state"], "AUTHORIZED");
    assert_eq!(
        problem_code(void(&world, &gift).await).await,
        "invalid_transition"
    );
    let later = world
        .admin_with_key(Method::POST, &path, key, &usd(1000))
        .await;
    assert_eq!(later.status(), StatusCode::OK);
    let view: Value = later.json().await.unwrap();
    assert_eq!(
        (&view["state"], &view["captured"]["amount"]),
        (&json!("CAPTURED"), &json!(1000))
    );
    assert_eq!(world.psp.status(&open).await, "succeeded");
}

#[tokio::test]
async fn a_capture_is_told_under_its_key_whatever_has_become_of_the_payment_and_the_key_takes_no_other_body()
 {
    let world = World::of(Plan {
        timeout: Duration::from_secs(2),
        ..Plan::default()
    })
    .await;
    let (gift, _) = held(&world).await;
    let fault = json!({"timeout_after": {"probability": 1.0, "count": 1, "only": ["/capture"]}});
    world.psp.faults(&fault).await;
    let (path, key) = (
        path(&gift, "capture"),
        "018f3a5e-7c1d-7000-8000-0123456789ab",
    );
    let send = async |body: Value| world.admin_with_key(Method::POST, &path, key, &body).await;
    assert_eq!(send(usd(1000)).await.status(), StatusCode::ACCEPTED);
    let euros = json!({"amount": {"amount": 1000, "currency": "EUR"}});
    for other in [usd(900), json!({}), euros] {
        let reused = send(other).await;
        assert_eq!(problem_code(reused).await, "idempotency_key_reused");
    }
    // The donor's bank settles before anybody asks again.
    sqlx::query(
        "update payments set state = 'COMPLETED', captured_minor = 1000, version = version + 1
         where payment_id = $1",
    )
    .bind(gift.payment_id.get())
    .execute(&world.pool)
    .await
    .unwrap();
    let later = send(usd(1000)).await;
    assert_eq!(later.status(), StatusCode::OK);
    let view: Value = later.json().await.unwrap();
    assert_eq!(
        (&view["state"], &view["captured"]["amount"]),
        (&json!("COMPLETED"), &json!(1000))
    );
    let reused = send(usd(900)).await;
    assert_eq!(problem_code(reused).await, "idempotency_key_reused");
}

#[tokio::test]
async fn a_capture_that_is_refused_for_good_is_told_and_stands_in_the_way_of_nothing() {
    let desk = Desk::new().await;
    let world = World::of(Plan {
        through: Some(desk.address()),
        ..Plan::default()
    })
    .await;
    desk.lead_to(&world.psp.url, &world.life);
    let (gift, open) = held(&world).await;
    let call = format!("{}/capture", open.intent);
    desk.refuse(call.clone());
    let refused = capture(&world, &gift, usd(1000)).await;
    assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(problem_code(refused).await, "payment_declined");
    let subject = format!("capture:{}", gift.payment_id);
    assert_eq!(world.matters("UNKNOWN").await, [subject.as_str()]);
    let asked_again: bool = sqlx::query_scalar("select retry_at is not null from captures")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert!(!asked_again);
    assert_eq!(desk.asked(&call), 1);
    // An admin may ask once more, in another call.
    let again = capture(&world, &gift, usd(900)).await;
    assert_eq!(problem_code(again).await, "payment_declined");
    assert_eq!(desk.asked(&call), 2);
    assert_eq!(world.state(&gift).await, "AUTHORIZED");
    assert_eq!(void(&world, &gift).await.status(), StatusCode::OK);
    assert_eq!(world.psp.status(&open).await, "canceled");
    until_closed(&world, "UNKNOWN", &subject).await;
}

#[tokio::test]
async fn a_capture_that_fails_keeps_no_other_waiting() {
    let desk = Desk::new().await;
    let world = World::of(Plan {
        // Who is left over in a round is not looked at again while the test runs.
        resolve_after: Duration::from_hours(1),
        through: Some(desk.address()),
        ..Plan::default()
    })
    .await;
    desk.lead_to(&world.psp.url, &world.life);
    let (refused, open) = held(&world).await;
    let (taken, _) = held(&world).await;
    desk.refuse(open.intent);
    sqlx::query(
        "insert into captures (payment_id, amount_minor, asked_by, retry_at, asked_at)
         select payment_id, 700, gen_random_uuid(), $2 + n * interval '1 millisecond', $2
         from unnest($1::uuid[]) with ordinality as c (payment_id, n)",
    )
    .bind(vec![refused.payment_id.get(), taken.payment_id.get()])
    .bind(world.clock.now() - chrono::Duration::seconds(1))
    .execute(&world.pool)
    .await
    .unwrap();
    world.until(&taken, "CAPTURED").await;
    assert_eq!(world.state(&refused).await, "AUTHORIZED");
}

#[tokio::test]
async fn a_crash_between_the_order_and_the_call_is_made_good() {
    let world = World::start().await;
    let (gift, open) = held(&world).await;
    sqlx::query(
        "insert into captures (payment_id, amount_minor, asked_by, retry_at, asked_at)
         values ($1, 700, gen_random_uuid(), $2, $2)",
    )
    .bind(gift.payment_id.get())
    .bind(world.clock.now())
    .execute(&world.pool)
    .await
    .unwrap();
    world.until(&gift, "CAPTURED").await;
    assert_eq!(world.payment(&gift).await["captured"]["amount"], 700);
    assert_eq!(world.psp.status(&open).await, "succeeded");
}

#[tokio::test]
async fn a_capture_that_is_never_answered_is_a_matter_for_a_person_until_it_is() {
    let line = Line::new().await;
    let world = World::of(Plan {
        timeout: Duration::from_secs(2),
        resolve_after: Duration::from_millis(20),
        breaker_rest: Duration::from_millis(10),
        cadences: Cadences {
            resolve_at_most: Duration::from_millis(50),
            ..brisk()
        },
        through: Some(line.address()),
        ..Plan::brisk()
    })
    .await;
    let mute = line.lead_to(world.psp.address(), &world.life);
    let (gift, _) = held(&world).await;
    mute.store(true, Ordering::SeqCst);
    let reply = capture(&world, &gift, usd(1000)).await;
    assert_eq!(reply.status(), StatusCode::ACCEPTED);
    let subject = format!("capture:{}", gift.payment_id);
    eventually("a person is asked", async || {
        open_matter(&world, "UNKNOWN", &subject).await
    })
    .await;
    mute.store(false, Ordering::SeqCst);
    eventually("it is taken", async || {
        let state = world.state(&gift).await;
        ["CAPTURED", "COMPLETED"]
            .contains(&state.as_str())
            .then_some(())
    })
    .await;
    until_closed(&world, "UNKNOWN", &subject).await;
}
