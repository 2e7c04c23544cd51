//! Liveness: once nothing is broken any more, everything comes to rest.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use xtask::interrupt;

use super::world::World;
use crate::audit;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What may be left to do in the databases, each with its count.
const LEFT: &str = "
    select 'events of users to publish' as what, count(*) as n from users.outbox
    union all select 'events of campaign to publish', count(*) from campaign.outbox
    union all select 'events of pledge to publish', count(*) from pledge.outbox
    union all select 'events of payment to publish', count(*) from payment.outbox
    union all select 'events of totals to publish', count(*) from totals.outbox
    union all select 'calls to the provider without an answer', count(*) from payment.payments where retry_at is not null
    union all select 'mails to send', count(*) from notification.deliveries where status = 'QUEUED'";

/// Waits until nothing is under way. Gives what has not settled within the patience; nothing, when all has.
///
/// # Errors
/// When the user wants us to end.
pub(super) async fn settle(world: &World, patience: Duration) -> Result<Vec<String>> {
    let deadline = Instant::now() + patience;
    loop {
        interrupt::check()?;
        let left = left(world)
            .await
            .unwrap_or_else(|error| vec![format!("{error:#}")]);
        if left.is_empty() || Instant::now() > deadline {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// In the order in which one leads to the next, and the databases once more at the end: what a consumer has just done
/// may be told of there.
async fn left(world: &World) -> Result<Vec<String>> {
    let undelivered = undelivered(world).await?;
    if undelivered > 0 {
        return Ok(vec![format!("{undelivered} webhooks to deliver")]);
    }
    let mut left = in_databases(&world.sources.database_url).await?;
    left.extend(audit::behind(&world.sources).await?);
    left.extend(in_databases(&world.sources.database_url).await?);
    left.dedup();
    Ok(left)
}

async fn undelivered(world: &World) -> Result<u64> {
    let idle = reqwest::get(format!("{}/_sim/idle", world.provider)).await?;
    let idle: Value = idle.error_for_status()?.json().await?;
    Ok(idle["undelivered"].as_u64().unwrap_or(u64::MAX))
}

async fn in_databases(url: &str) -> Result<Vec<String>> {
    let mut connection = PgConnection::connect(url).await?;
    let left: Vec<(String, i64)> = sqlx::query_as(LEFT).fetch_all(&mut connection).await?;
    connection.close().await?;
    let left = left.into_iter().filter(|(_, n)| *n > 0);
    Ok(left.map(|(what, n)| format!("{n} {what}")).collect())
}
