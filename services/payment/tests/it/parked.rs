//! An event that is faster than its payment waits for it, and then has its effect once.

use std::time::Duration;

use payment::Cadences;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::eventually;

use crate::{
    reconcile::{matters_amount, open_matter},
    world::{Gift, Plan, World, brisk},
};

/// Nobody but those who judge what is parked looks at a payment: not the reconciler, and the provider's lists are read
/// for the last time before anything is in them.
async fn world(cadences: Cadences) -> World {
    let world = World::of(Plan {
        cadences: Cadences {
            reconcile_after: Duration::from_hours(1),
            sweep_every: Duration::from_hours(1),
            ..cadences
        },
        ..Plan::default()
    })
    .await;
    eventually("the empty list was read", async || {
        // Where the provider did not answer in time it would be asked in a minute.
        sqlx::query("update sweeps set held_until = now() where held_until < now() + interval '2 minutes'")
            .execute(&world.pool)
            .await
            .unwrap();
        sqlx::query_scalar::<_, String>(
            "select name from sweeps where name = 'events' and held_until > now() + interval '45 minutes'",
        )
        .fetch_optional(&world.pool)
        .await
        .unwrap()
    })
    .await;
    world
}

async fn rulings(world: &World, event: &str) -> Vec<(i32, String, String)> {
    sqlx::query_as("select n, verdict, cause from webhook_rulings where event_id = $1 order by n")
        .bind(event)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

async fn parked(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from webhook_parked")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

/// Whether it was told loudly that an event is about nobody's payment.
async fn alarmed(world: &World) -> bool {
    let request = world.service.client.get(world.service.at("/metrics"));
    let metrics = request.send().await.unwrap().text().await.unwrap();
    metrics.contains(r#"payment_alarms_total{kind="webhook_unknown_payment"}"#)
}

/// A payment whose row is not there yet, though the provider has taken its money.
async fn faster_than_its_payment(world: &World) -> (Gift, String, String) {
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    sqlx::query("create table aside as select * from payments")
        .execute(&world.pool)
        .await
        .unwrap();
    sqlx::query("delete from payments")
        .execute(&world.pool)
        .await
        .unwrap();
    let event = gift.captured(&open.intent);
    assert_eq!(world.verdict(&event).await, "PARKED");
    let id = event["id"].as_str().unwrap().to_owned();
    (gift, id, event.to_string())
}

async fn payment_comes(world: &World) {
    sqlx::query("insert into payments select * from aside")
        .execute(&world.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_parked_event_has_its_effect_once_when_its_payment_is_there() {
    let world = world(brisk()).await;
    let (gift, event, body) = faster_than_its_payment(&world).await;
    assert_eq!(parked(&world).await, 1);
    payment_comes(&world).await;
    world.until(&gift, "CAPTURED").await;
    assert_eq!(
        rulings(&world, &event).await,
        [(1, "IMPLIED".to_owned(), "payment known".to_owned())]
    );
    assert_eq!(parked(&world).await, 0);
    let first = world.stored_verdict(&event).await;
    assert_eq!(
        first.as_deref(),
        Some("PARKED"),
        "what was decided first stays in the log"
    );
    assert_eq!(
        world.verdict(&serde_json::from_str(&body).unwrap()).await,
        "DUPLICATE"
    );
    assert_eq!(world.payment(&gift).await["version"], 2);
}

#[tokio::test]
async fn a_parked_event_whose_payment_does_not_come_is_a_matter_for_a_person_until_it_does() {
    let world = world(Cadences {
        parked_for: Duration::from_millis(300),
        ..brisk()
    })
    .await;
    let (gift, event, _) = faster_than_its_payment(&world).await;
    eventually("a person is asked", async || {
        open_matter(&world, "PARKED", &event).await
    })
    .await;
    assert_eq!(matters_amount(&world, &event).await, (2500, "USD".into()));
    eventually("it is an alarm", async || {
        alarmed(&world).await.then_some(())
    })
    .await;
    payment_comes(&world).await;
    world.until(&gift, "CAPTURED").await;
    eventually("nobody is asked any more", async || {
        let open = open_matter(&world, "PARKED", &event).await;
        open.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_of_nobody_is_parked_once_however_often_it_comes() {
    let world = world(brisk()).await;
    let told = json!({"status": "succeeded", "amount_received": 2500, "metadata": {}});
    let event = world
        .gift()
        .news("payment_intent.succeeded", "pi_of_nobody", &told);
    assert_eq!(world.verdict(&event).await, "PARKED");
    assert_eq!(world.verdict(&event).await, "DUPLICATE");
    assert_eq!(parked(&world).await, 1);
}

#[tokio::test]
async fn a_parked_event_that_a_person_has_closed_stays_closed_and_can_be_replayed() {
    let world = world(Cadences {
        parked_for: Duration::from_millis(300),
        ..brisk()
    })
    .await;
    let (gift, event, _) = faster_than_its_payment(&world).await;
    eventually("a person is asked", async || {
        open_matter(&world, "PARKED", &event).await
    })
    .await;
    let path = format!("/api/admin/exceptions/PARKED/{event}/close");
    let note = json!({"note": "of an intent that was made by hand"});
    let closed = world.admin(Method::POST, &path, &note).await;
    assert_eq!(closed.status(), StatusCode::OK);
    assert_eq!(parked(&world).await, 0);
    // Those who judge what is parked have come by since: another event was judged again.
    let told = json!({"status": "succeeded", "amount_received": 2500, "metadata": {}});
    let other = gift.news("payment_intent.succeeded", "pi_of_nobody", &told);
    assert_eq!(world.verdict(&other).await, "PARKED");
    let other = other["id"].as_str().unwrap();
    eventually("a person is asked about another", async || {
        open_matter(&world, "PARKED", other).await
    })
    .await;
    assert_eq!(open_matter(&world, "PARKED", &event).await, None);
    payment_comes(&world).await;
    let path = format!("/api/admin/webhooks/{event}/replay?dry_run=false");
    let replayed = world.admin(Method::POST, &path, &Value::Null).await;
    assert_eq!(replayed.status(), StatusCode::OK);
    assert_eq!(world.state(&gift).await, "CAPTURED");
}
