//! The table was put back to an older copy, and the topic knows better.

use chassis::{clock::Clock, lifecycle::Lifecycle};
use chrono::Duration;
use serde_json::Value;
use testkit::eventually;

use crate::helpers::{App, config};

#[tokio::test]
async fn a_campaign_goes_on_again_and_why_it_was_stopped_stays_with_its_organiser() {
    let app = App::start().await;
    let since = Clock::system().now() - Duration::minutes(1);
    let id = app.active(&app.person()).await;
    for step in ["suspend", "resume"] {
        app.moved(&id, step, &app.admin).await;
    }
    let pool = app.database.pool();
    eventually("it is told", async || {
        let untold: i64 = sqlx::query_scalar("select count(*) from outbox")
            .fetch_one(&pool)
            .await
            .ok()?;
        (untold == 0).then_some(())
    })
    .await;
    sqlx::query(
        "update campaigns set status = 'SUSPENDED', stop_reason = 'too vague', version = version - 1",
    )
    .execute(&pool)
    .await
    .unwrap();
    campaign::recover(
        config(&app.database, &app.kafka, &app.clock),
        Lifecycle::new(),
        since,
    )
    .await
    .unwrap();
    let seen = app.get(&format!("/api/campaigns/{id}"), None).await;
    let seen: Value = seen.json().await.unwrap();
    assert_eq!(seen["status"], "ACTIVE", "{seen}");
    assert_eq!(seen.get("stop_reason"), None);
}
