//! Events whose payment is not known yet, on their way to be judged again.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// An event whose time has come.
#[derive(sqlx::FromRow)]
pub struct Waiting {
    /// The provider's id of the event.
    pub event_id: String,
    /// When it came.
    pub parked_at: DateTime<Utc>,
    /// How often it was judged again.
    pub tries: i32,
}

/// Parks events that have just come.
pub async fn insert(
    connection: &mut PgConnection,
    events: &[&str],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into webhook_parked (event_id, parked_at, retry_at)
         select event_id, $2, $2 from unnest($1::text[]) as p (event_id) order by event_id on conflict do nothing",
    )
    .bind(events)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes events whose time has come; whoever takes one has it until `held_until`.
pub async fn take_due(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    held_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Waiting>, sqlx::Error> {
    sqlx::query_as(
        "update webhook_parked p set retry_at = $2, tries = p.tries + 1
         from (select event_id from webhook_parked where retry_at <= $1 order by retry_at limit $3 for update skip locked) due
         where p.event_id = due.event_id
         returning p.event_id, p.parked_at, p.tries",
    )
    .bind(now)
    .bind(held_until)
    .bind(limit)
    .fetch_all(executor)
    .await
}

/// Says when an event is judged next, and whether it is parked still: its matter may have been closed meanwhile.
pub async fn again_at(
    executor: impl PgExecutor<'_>,
    event: &str,
    at: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("update webhook_parked set retry_at = $2 where event_id = $1")
        .bind(event)
        .bind(at)
        .execute(executor)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Lets events go that have another verdict by now.
pub async fn remove(connection: &mut PgConnection, events: &[&str]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from webhook_parked where event_id = any($1::text[])")
        .bind(events)
        .execute(connection)
        .await?;
    Ok(())
}

/// Has every parked event judged now.
pub async fn judge_now(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("update webhook_parked set retry_at = $1 where retry_at > $1")
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}
