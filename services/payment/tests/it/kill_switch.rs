//! An admin stops new charges; what was charged goes on being recorded.

use std::time::Duration;

use common::{auth::Role, events::Capture, ids::UserId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{eventually, problem_code, user_token};
use uuid::Uuid;

use crate::{
    desk::Desk,
    world::{Plan, World},
};

const PATH: &str = "/api/admin/payments/charging";

async fn turn(world: &World, paused: bool) {
    let body = json!({"paused": paused, "reason": "the provider double charges"});
    let reply = world.admin(Method::PUT, PATH, &body).await;
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.json::<Value>().await.unwrap()["paused"], paused);
}

#[tokio::test]
async fn while_charging_is_paused_nothing_is_charged_and_what_was_is_recorded() {
    let world = World::start().await;
    let (paid, held) = (world.gift(), world.gift_of(2500, Capture::Manual, None));
    let (intent, hold) = (world.open(&paid).await.intent, world.open(&held).await);
    world.psp.confirm(&hold, "pm_card_visa").await;
    world.verdict(&held.authorized(&hold.intent)).await;
    turn(&world, true).await;
    let gift = world.gift();
    let refused = world.post(&gift.body()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "60");
    assert_eq!(problem_code(refused).await, "charging_paused");
    let visit = format!(
        "/api/payments/{}/checkout?ticket={}",
        gift.payment_id, gift.sealed
    );
    let visit = world
        .service
        .client
        .get(world.service.at(&visit))
        .send()
        .await
        .unwrap();
    assert_eq!(problem_code(visit).await, "charging_paused");
    let capture = format!("/api/admin/payments/{}/capture", held.payment_id);
    let capture = world.admin(Method::POST, &capture, &json!({})).await;
    assert_eq!(problem_code(capture).await, "charging_paused");
    assert_eq!(world.psp.intents().await, 2);
    assert_eq!(world.verdict(&paid.captured(&intent)).await, "IMPLIED");
    let void = format!("/api/admin/payments/{}/void", held.payment_id);
    let void = world.admin(Method::POST, &void, &Value::Null).await;
    assert_eq!(
        void.status(),
        StatusCode::OK,
        "money may always be released"
    );
    turn(&world, false).await;
    world.open(&gift).await;
}

#[tokio::test]
async fn a_capture_that_was_written_before_waits_and_is_made_once_charging_goes_on() {
    let desk = Desk::new().await;
    let world = World::of(Plan {
        resolve_after: Duration::from_millis(100),
        through: Some(desk.address()),
        ..Plan::default()
    })
    .await;
    desk.lead_to(&world.psp.url, &world.life);
    let gift = world.gift_of(2500, Capture::Manual, None);
    let hold = world.open(&gift).await;
    world.psp.confirm(&hold, "pm_card_visa").await;
    world.verdict(&gift.authorized(&hold.intent)).await;
    turn(&world, true).await;
    // What a crash leaves between the order and the call.
    sqlx::query(
        "insert into captures (payment_id, amount_minor, asked_by, retry_at, asked_at)
         values ($1, 700, gen_random_uuid(), $2, $2)",
    )
    .bind(gift.payment_id.get())
    .bind(world.clock.now())
    .execute(&world.pool)
    .await
    .unwrap();
    let look = format!("/v1/payment_intents/{}", hold.intent);
    let before = desk.asked(&look);
    eventually("the provider was asked how it stands", async || {
        (desk.asked(&look) >= before + 3).then_some(())
    })
    .await;
    assert_eq!(desk.asked("/capture"), 0);
    assert_eq!(world.psp.status(&hold).await, "requires_capture");
    turn(&world, false).await;
    world.until(&gift, "CAPTURED").await;
    assert_eq!(world.payment(&gift).await["captured"]["amount"], 700);
    assert_eq!(desk.asked("/capture"), 1);
}

#[tokio::test]
async fn a_payment_that_was_opened_before_keeps_its_answer() {
    let world = World::start().await;
    let gift = world.gift();
    let key = Uuid::new_v4().to_string();
    let first = world
        .post_with_key(&key, &gift.body())
        .await
        .bytes()
        .await
        .unwrap();
    turn(&world, true).await;
    let again = world.post_with_key(&key, &gift.body()).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.bytes().await.unwrap(), first);
}

#[tokio::test]
async fn another_process_hears_of_it_and_every_turn_is_kept() {
    let world = World::start().await;
    let get = async || {
        let reply = world.admin(Method::GET, PATH, &Value::Null).await;
        reply.json::<Value>().await.unwrap()
    };
    assert_eq!(get().await["paused"], false);
    world.open(&world.gift()).await;
    // As another process turns it.
    sqlx::query(
        "insert into controls (name, paused, reason, changed_by, changed_at)
         values ('charging', true, 'elsewhere', gen_random_uuid(), now())",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    assert_eq!(get().await["reason"], "elsewhere");
    eventually("this process has heard of it", async || {
        let reply = world.post(&world.gift().body()).await;
        (reply.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    turn(&world, false).await;
    turn(&world, true).await;
    let turns: Vec<(bool, String, Uuid)> =
        sqlx::query_as("select paused, reason, changed_by from control_changes order by id")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let by = |paused| {
        (
            paused,
            "the provider double charges".to_owned(),
            Uuid::from_u128(7),
        )
    };
    assert_eq!(turns, [by(false), by(true)]);
    let kept = sqlx::query("delete from control_changes")
        .execute(&world.pool)
        .await;
    assert!(kept.unwrap_err().to_string().contains("append-only"));
}

#[tokio::test]
async fn only_an_admin_turns_it_and_only_with_a_reason() {
    let world = World::start().await;
    for reason in ["", "  ", &"a".repeat(501)] {
        let body = json!({"paused": true, "reason": reason});
        let refused = world.admin(Method::PUT, PATH, &body).await;
        assert_eq!(problem_code(refused).await, "invalid_reason");
    }
    let donor = user_token(UserId::new(), Role::Donor);
    let url = world.service.at(PATH);
    let seen = world
        .service
        .client
        .get(&url)
        .bearer_auth(&donor)
        .send()
        .await
        .unwrap();
    assert_eq!(problem_code(seen).await, "forbidden");
    let request = world.service.client.put(&url).bearer_auth(&donor);
    let request = request.header("idempotency-key", Uuid::new_v4().to_string());
    let body = json!({"paused": true, "reason": "for fun"});
    assert_eq!(
        problem_code(request.json(&body).send().await.unwrap()).await,
        "forbidden"
    );
    world.open(&world.gift()).await;
}
