//! The provider's lists: what was never delivered has its effect all the same, once.

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, State},
};
use chassis::http::serve;
use http::StatusCode;
use payment::Cadences;
use serde_json::{Value, json};
use testkit::eventually;
use tokio::net::TcpListener;

use crate::world::{Gift, Plan, Table, World, brisk};

/// Nobody looks at payments: only the lists are read.
async fn world(webhooks: bool) -> World {
    World::of(Plan {
        webhooks,
        cadences: Cadences {
            reconcile_after: Duration::from_hours(1),
            settle_after: Duration::from_hours(1),
            ..brisk()
        },
        ..Plan::default()
    })
    .await
}

async fn source(world: &World, event: &str) -> Option<String> {
    sqlx::query_scalar("select source from webhook_events where event_id = $1")
        .bind(event)
        .fetch_optional(&world.pool)
        .await
        .unwrap()
}

async fn reads(world: &World) -> chrono::DateTime<chrono::Utc> {
    eventually("the list was read", async || {
        sqlx::query_scalar("select read_to from sweeps where name = 'events'")
            .fetch_optional(&world.pool)
            .await
            .unwrap()
    })
    .await
}

async fn tries(world: &World, gift: &Gift) -> i32 {
    sqlx::query_scalar("select tries from payments where payment_id = $1")
        .bind(gift.payment_id.get())
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_event_that_was_never_delivered_is_judged_as_if_it_had_been_once() {
    let world = world(false).await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    world.until(&gift, "CAPTURED").await;
    let event = world
        .psp
        .event(&open.intent, "payment_intent.succeeded")
        .await;
    assert_eq!(source(&world, &event).await.as_deref(), Some("swept"));
    let mut late = gift.captured(&open.intent);
    late["id"] = event.clone().into();
    assert_eq!(world.verdict(&late).await, "DUPLICATE");
    let came: i64 =
        sqlx::query_scalar("select count(*) from webhook_deliveries where event_id = $1")
            .bind(&event)
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(came, 1);
    assert_eq!(world.payment(&gift).await["version"], 2);
}

#[tokio::test]
async fn what_was_delivered_is_passed_over_however_often_the_list_is_read() {
    let world = world(true).await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    world.until(&gift, "CAPTURED").await;
    let before = reads(&world).await;
    eventually("it was read twice more", async || {
        (reads(&world).await > before + chrono::Duration::milliseconds(400)).then_some(())
    })
    .await;
    let succeeded: i64 = sqlx::query_scalar(
        "select count(*) from webhook_events where kind = 'payment_intent.succeeded'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(succeeded, 1);
    assert_eq!(world.payment(&gift).await["version"], 2);
    assert_eq!(world.count(Table::Transitions).await, 2);
}

#[tokio::test]
async fn a_payment_whose_money_is_listed_as_going_back_is_looked_at() {
    let world = world(false).await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    world.until(&gift, "CAPTURED").await;
    assert_eq!(tries(&world, &gift).await, 0, "nobody has looked yet");
    let form = [("payment_intent", open.intent.as_str()), ("amount", "500")];
    world.dashboard("/v1/refunds", &form, None).await;
    eventually("it was looked at", async || {
        (tries(&world, &gift).await > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_happened_while_the_provider_could_not_be_read_is_read_later() {
    let mut world = World::of(Plan {
        up: false,
        resolve_after: Duration::from_millis(200),
        breaker_rest: Duration::from_millis(100),
        cadences: Cadences {
            reconcile_after: Duration::from_hours(1),
            ..brisk()
        },
        ..Plan::default()
    })
    .await;
    reads(&world).await;
    world.psp_comes_up();
    let gift = world.gift();
    let open = loop {
        let reply = world.post(&gift.body()).await;
        if reply.status().is_success() {
            break crate::world::Open::from(&reply.json().await.unwrap());
        }
    };
    world.psp.confirm(&open, "pm_card_visa").await;
    world.until(&gift, "CAPTURED").await;
}

#[tokio::test]
async fn an_intent_that_the_database_has_forgotten_is_found_in_the_list_and_its_money_with_it() {
    let world = world(false).await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    sqlx::query(
        "update payments set provider_ref = null, outcome = 'none', requested_at = null, retry_at = null
         where payment_id = $1",
    )
    .bind(gift.payment_id.get())
    .execute(&world.pool)
    .await
    .unwrap();
    let known = eventually("the intent is known again", async || {
        sqlx::query_scalar::<_, Option<String>>(
            "select provider_ref from payments where payment_id = $1 and outcome = 'known'",
        )
        .bind(gift.payment_id.get())
        .fetch_optional(&world.pool)
        .await
        .unwrap()
        .flatten()
    })
    .await;
    assert_eq!(known, open.intent);
    world.psp.confirm(&open, "pm_card_visa").await;
    world.until(&gift, "CAPTURED").await;
    assert_eq!(world.psp.intents().await, 1);
}

/// The provider as it is, but for refunds of 7.00, which have a status of tomorrow.
async fn of_tomorrow(State(provider): State<String>, request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = parts.headers;
    headers.remove("host");
    let forwarded =
        reqwest::Client::new().request(parts.method, format!("{provider}{}", parts.uri));
    let reply = forwarded.headers(headers).body(body).send().await.unwrap();
    let (status, mut body): (_, Value) = (reply.status(), reply.json().await.unwrap());
    let listed = body.get_mut("data").and_then(Value::as_array_mut);
    for object in listed.into_iter().flatten() {
        if object["object"] == "refund" && object["amount"] == 700 {
            object["status"] = json!("under_consideration");
        }
    }
    (status, body.to_string())
}

#[tokio::test]
async fn a_refund_that_nobody_understands_holds_up_no_list() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World::of(Plan {
        through: Some(listener.local_addr().unwrap()),
        cadences: Cadences {
            reconcile_after: Duration::from_hours(1),
            settle_after: Duration::from_hours(1),
            ..brisk()
        },
        ..Plan::default()
    })
    .await;
    let router = Router::new()
        .fallback(of_tomorrow)
        .with_state(world.psp.url.clone());
    world.life.spawn("provider", {
        let life = world.life.clone();
        async move { serve(listener, router, &life).await }
    });
    let strange = world.paid(2500, "pm_card_visa").await;
    let plain = world.paid(2600, "pm_card_visa").await;
    for (paid, amount) in [(&strange, "700"), (&strange, "300"), (&plain, "500")] {
        let form = [
            ("payment_intent", paid.open.intent.as_str()),
            ("amount", amount),
        ];
        world.dashboard("/v1/refunds", &form, None).await;
    }
    world.until_amounts(&strange, "CAPTURED", 300, 0).await;
    world.until_amounts(&plain, "CAPTURED", 500, 0).await;
    let listed = world.at_provider("refunds", &strange).await;
    let unread = listed.iter().find(|refund| refund["amount"] == 700);
    let unread = unread.unwrap()["id"].as_str().unwrap();
    assert_eq!(world.matters("QUARANTINED").await, [unread]);
}
