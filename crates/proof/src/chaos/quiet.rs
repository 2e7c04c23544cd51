//! Liveness: once nothing is broken any more, everything comes to rest.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use xtask::{interrupt, ui};

use super::{matching::LastRun, world::World};
use crate::audit::{self, Report};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is said what is still under way.
const TELL: Duration = Duration::from_secs(5);
/// The pause between two audits.
const AGAIN: Duration = Duration::from_secs(1);

/// What may be left to do in the databases, each with its count. Of the matters that a person is told of these are closed by
/// the payment service itself, once the provider has answered or the broker is back; whatever else is open is a person's.
const LEFT: &str = "
    select 'events of users to publish' as what, count(*) as n from users.outbox
    union all select 'events of campaign to publish', count(*) from campaign.outbox
    union all select 'events of pledge to publish', count(*) from pledge.outbox
    union all select 'events of payment to publish', count(*) from payment.outbox
    union all select 'events of totals to publish', count(*) from totals.outbox
    union all select 'calls to the provider without an answer', count(*) from payment.payments
              where retry_at is not null and outcome in ('requested', 'unknown')
    union all select 'payments to ask the provider about', count(*) from payment.payments where retry_at <= now()
    union all select 'holds to take', count(*) from payment.captures c join payment.payments p using (payment_id)
              where c.retry_at is not null and p.state = 'AUTHORIZED'
    union all select 'refunds without an answer', count(*) from payment.refunds
              where outcome in ('requested', 'unknown') and status = 'PENDING'
    union all select 'payments to call off', count(*) from payment.payments
              where ending_at is not null and state in ('PENDING', 'AUTHORIZED')
    union all select 'totals to build anew', count(*) from totals.rebuilds where state = 'BUILDING'
    union all select 'mails to send', count(*) from notification.deliveries where status = 'QUEUED'
    union all select 'switches that stop new charges', count(*) from payment.controls where name = 'charging' and paused
    union all select 'open matters ' || kind, count(*) from payment.exceptions
              where closed_at is null and kind in ('UNKNOWN', 'CONFLICT', 'OUTBOX_STUCK') group by kind";

/// Waits until nothing is under way and the audit finds nothing, or the patience is over. What the provider lost for good
/// is looked for by the payment service in its own time, and until then the audit misses it; a real break never heals.
/// Gives what has not settled, and the last audit.
///
/// # Errors
/// When the audit cannot be made, or the user wants us to end.
pub(super) async fn rest(world: &World, patience: Duration) -> Result<(Vec<String>, Report)> {
    let began = Instant::now();
    loop {
        let left = patience.saturating_sub(began.elapsed());
        let unsettled = settle(world, left).await?;
        ui::step("auditing");
        let report = audit::audit(&world.sources).await?;
        let waited = began.elapsed();
        let broken = report.broken();
        let seconds = waited.as_secs_f64();
        if broken.is_empty() || waited >= patience {
            ui::say(&format!("  looked for {seconds:.1} s"));
            return Ok((unsettled, report));
        }
        let broken = broken.join(", ");
        ui::say(&format!("  {seconds:5.1} s  {broken} do not hold yet"));
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits until nothing is under way. Gives what has not settled within the patience; nothing, when all has.
///
/// # Errors
/// When the user wants us to end.
async fn settle(world: &World, patience: Duration) -> Result<Vec<String>> {
    let began = Instant::now();
    let mut told = began;
    let mut last_run = LastRun::new(world);
    loop {
        interrupt::check()?;
        let left = left(world, &mut last_run)
            .await
            .unwrap_or_else(|error| vec![format!("{error:#}")]);
        if left.is_empty() || began.elapsed() > patience {
            return Ok(left);
        }
        if told.elapsed() > TELL {
            told = Instant::now();
            let seconds = began.elapsed().as_secs_f64();
            ui::say(&format!("  {seconds:5.1} s  {}", left.join(", ")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What is under way, and then what the last matching finds, which may set something going again.
async fn left(world: &World, last_run: &mut LastRun) -> Result<Vec<String>> {
    let left = under_way(world).await?;
    if !left.is_empty() {
        return Ok(left);
    }
    let mut connection = PgConnection::connect(&world.sources.database_url).await?;
    let left = last_run.left(&mut connection).await?;
    connection.close().await?;
    if !left.is_empty() {
        return Ok(left);
    }
    under_way(world).await
}

/// In the order in which one leads to the next, and the databases once more at the end: what a consumer has just done
/// may be told of there.
async fn under_way(world: &World) -> Result<Vec<String>> {
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
