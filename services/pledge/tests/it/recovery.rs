//! The tables were put back to an older copy, and the topic knows better.

use chassis::{clock::Clock, lifecycle::Lifecycle};
use chrono::Duration;
use http::StatusCode;
use serde_json::Value;
use testkit::eventually;

use crate::helpers::{Made, Service, config, key};

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_pledge_is_known_again_and_its_key_gets_the_same_bytes() {
    let mut service = Service::start().await;
    let since = Clock::system().now() - Duration::minutes(1);
    let key = key();
    let mut body = service.body();
    body["tip"] = serde_json::json!({"amount": 300, "currency": "USD"});
    let reply = service.pledge(&key, &body).await;
    assert_eq!(reply.status(), StatusCode::CREATED);
    let first = reply.bytes().await.expect("bytes");
    let pool = service.database.pool();
    eventually("it is told", async || {
        let untold = "select count(*) from outbox";
        let untold: i64 = sqlx::query_scalar(untold).fetch_one(&pool).await.ok()?;
        (untold == 0).then_some(())
    })
    .await;
    let config = || {
        config(
            &service.database,
            service.kafka.clone(),
            service.clock.clone(),
        )
    };
    let (mine, recovering) = (config(), config());
    service.running.stop().await;
    for forgotten in ["delete from pledges", "delete from idempotency"] {
        sqlx::query(forgotten)
            .execute(&pool)
            .await
            .expect("it is forgotten");
    }
    pledge::recover(recovering, Lifecycle::new(), since)
        .await
        .expect("it recovers");
    service.running = testkit::serve(|listener, life| pledge::run(mine, listener, life)).await;
    let again = service.pledge(&key, &body).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert!(again.headers().contains_key("idempotent-replayed"));
    assert_eq!(again.bytes().await.expect("bytes"), first);
    assert_eq!(service.count().await, 1);
    let told: Value = serde_json::from_slice(&first).expect("JSON");
    let made = Made {
        id: told["pledge"]["id"]
            .as_str()
            .expect("an id")
            .parse()
            .expect("a UUID"),
        token: told["guest_token"].as_str().expect("a token").to_owned(),
        body: told,
    };
    assert_eq!(service.page(&made, "").await, made.body["pledge"]);
}
