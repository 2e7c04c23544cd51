//! The operator's queue.

use common::{auth::Role, ids::UserId};
use payment::domain::Kind;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{eventually, problem_code, user_token};

use crate::world::World;

const PATH: &str = "/api/admin/exceptions";

pub async fn open(world: &World, kind: Kind, subject: &str, age: i32) {
    sqlx::query(
        "insert into exceptions (kind, subject, amount_minor, currency, detail, opened_at, due_at)
         values ($1, $2, 2600, 'USD', 'something happened', now() - make_interval(secs => $3), now())",
    )
    .bind(kind.as_str())
    .bind(subject)
    .bind(f64::from(age))
    .execute(&world.pool)
    .await
    .unwrap();
}

async fn list(world: &World, query: &str) -> Value {
    let reply = world
        .admin(Method::GET, &format!("{PATH}?{query}"), &Value::Null)
        .await;
    assert_eq!(reply.status(), StatusCode::OK);
    reply.json().await.unwrap()
}

fn subjects(page: &Value) -> Vec<&str> {
    let data = page["data"].as_array().unwrap().iter();
    data.map(|it| it["subject"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn open_matters_are_listed_oldest_first_with_age_amount_and_what_to_do() {
    let world = World::start().await;
    open(&world, Kind::Suspense, "pi_1", 30).await;
    open(&world, Kind::Parked, "evt.1", 90).await;
    open(&world, Kind::Parked, "evt_2", 60).await;
    let all = list(&world, "").await;
    assert_eq!(subjects(&all), ["evt.1", "evt_2", "pi_1"]);
    let oldest = &all["data"][0];
    assert!((90..95).contains(&oldest["age_seconds"].as_i64().unwrap()));
    assert_eq!(oldest["amount"], json!({"amount": 2600, "currency": "USD"}));
    assert_eq!(oldest["next_action"]["code"], "find_payment");
    assert!(oldest["due_at"].is_string());
    assert_eq!(subjects(&list(&world, "kind=SUSPENSE").await), ["pi_1"]);
    let first = list(&world, "limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = list(&world, &format!("limit=5&cursor={cursor}")).await;
    assert_eq!(subjects(&rest), ["evt_2", "pi_1"]);
    let refused = world
        .admin(Method::GET, &format!("{PATH}?cursor=1.2"), &Value::Null)
        .await;
    assert_eq!(problem_code(refused).await, "invalid_cursor");
}

#[tokio::test]
async fn a_matter_is_closed_with_a_note_and_once() {
    let world = World::start().await;
    open(&world, Kind::Conflict, "evt_1", 1).await;
    let path = format!("{PATH}/CONFLICT/evt_1/close");
    let without = world
        .admin(Method::POST, &path, &json!({"note": " "}))
        .await;
    assert_eq!(problem_code(without).await, "invalid_reason");
    let body = json!({"note": "refunded by hand"});
    let closed = world.admin(Method::POST, &path, &body).await;
    assert_eq!(closed.status(), StatusCode::OK);
    let closed: Value = closed.json().await.unwrap();
    assert!(
        closed["closed_by"]
            .as_str()
            .unwrap()
            .ends_with(": refunded by hand")
    );
    assert!(subjects(&list(&world, "").await).is_empty());
    let again = world.admin(Method::POST, &path, &body).await;
    assert_eq!(problem_code(again).await, "not_found");
    let donor = user_token(UserId::new(), Role::Donor);
    let seen = world
        .service
        .client
        .get(world.service.at(PATH))
        .bearer_auth(donor);
    assert_eq!(problem_code(seen.send().await.unwrap()).await, "forbidden");
}

#[tokio::test]
async fn each_kind_is_counted_by_a_metric_and_has_something_to_do() {
    let world = World::start().await;
    for kind in Kind::ALL {
        open(&world, kind, "one", 100).await;
        assert!(!kind.next_action().0.is_empty());
    }
    eventually("the metrics tell", async || {
        let reply = world
            .service
            .client
            .get(world.service.at("/metrics"))
            .send()
            .await
            .unwrap();
        let metrics = reply.text().await.unwrap();
        let told = |kind: &Kind| {
            metrics.contains(&format!("payment_exceptions{{kind=\"{}\"}}", kind.as_str()))
        };
        Kind::ALL.iter().all(told).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_outbox_that_does_not_drain_is_a_matter_until_it_does() {
    let world = World::start().await;
    // An event that the relay publishes and cannot take out.
    sqlx::raw_sql(
        "create function stay() returns trigger language plpgsql as 'begin return null; end';
         create trigger stay before delete on outbox for each row execute function stay();
         insert into outbox (event_id, topic, key, kind, payload, created_at)
         values (gen_random_uuid(), 'cfa.payment.events.v1', 'k', 'payment.created', '{}', now() - interval '2 minutes')",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    eventually("it is a matter", async || {
        let page = list(&world, "kind=OUTBOX_STUCK").await;
        (subjects(&page) == ["outbox"]).then_some(())
    })
    .await;
    sqlx::raw_sql("drop trigger stay on outbox")
        .execute(&world.pool)
        .await
        .unwrap();
    eventually("it has drained", async || {
        let page = list(&world, "kind=OUTBOX_STUCK").await;
        subjects(&page).is_empty().then_some(())
    })
    .await;
}
