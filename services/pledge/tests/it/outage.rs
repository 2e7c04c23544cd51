//! Clients that leave, and connections that break: whatever was acknowledged is there.

use std::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use serde_json::Value;

use crate::helpers::{Service, key};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_that_hang_up_lose_no_acknowledged_row() {
    let service = Service::start().await;
    let body = service.body();
    let posts = (0..1000_u64).map(|n| {
        let post = service.post(&key(), &body).send();
        async move {
            // Each leaves at another moment of its request; those that stay long enough are acknowledged.
            let reply = tokio::time::timeout(Duration::from_micros(n * 40), post)
                .await
                .ok()?
                .ok()?;
            (reply.status() == StatusCode::CREATED).then_some(reply)
        }
    });
    let mut acknowledged = Vec::new();
    for reply in join_all(posts).await.into_iter().flatten() {
        let made: Value = reply.json().await.expect("JSON");
        acknowledged.push(
            made["pledge"]["id"]
                .as_str()
                .expect("an id")
                .parse::<uuid::Uuid>()
                .expect("a UUID"),
        );
    }
    let pool = service.database.pool();
    let found: i64 = sqlx::query_scalar("select count(*) from pledges where pledge_id = any($1)")
        .bind(&acknowledged)
        .fetch_one(&pool)
        .await
        .expect("pledges can be counted");
    assert_eq!(usize::try_from(found).expect("a count"), acknowledged.len());
    assert_eq!(
        service.pledge(&key(), &body).await.status(),
        StatusCode::CREATED,
        "the pool is healthy"
    );
    let open: i64 = sqlx::query_scalar("select count(*) from pg_stat_activity where datname = $1 and state like 'idle in transaction%'")
        .bind(service.database.name())
        .fetch_one(&pool)
        .await
        .expect("sessions can be counted");
    assert_eq!(open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ends_is_replaced_without_an_error() {
    let service = Service::start().await;
    let body = service.body();
    assert_eq!(
        service.pledge(&key(), &body).await.status(),
        StatusCode::CREATED
    );
    for _ in 0..3 {
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()")
            .bind(service.database.name())
            .execute(&service.database.pool())
            .await
            .expect("a superuser may end sessions");
        assert_eq!(
            service.pledge(&key(), &body).await.status(),
            StatusCode::CREATED
        );
    }
    assert_eq!(service.count().await, 4);
}
