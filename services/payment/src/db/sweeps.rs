//! How far the provider's lists were read.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// The list of intents.
pub const INTENTS: &str = "intents";
/// Where it is.
pub const INTENTS_PATH: &str = "/v1/payment_intents";
/// The list of events.
pub const EVENTS: &str = "events";
/// Every list that is read, and where it is; the last two are of what goes back, whose objects name an intent.
pub const LISTS: [(&str, &str); 4] = [
    (INTENTS, INTENTS_PATH),
    (EVENTS, "/v1/events"),
    ("refunds", "/v1/refunds"),
    ("disputes", "/v1/disputes"),
];

/// Takes a list that is to be read again, and says how far it was read; none before its time, or while another process
/// has it. A list that was never read was read to `start`.
pub async fn take(
    executor: impl PgExecutor<'_>,
    name: &str,
    start: DateTime<Utc>,
    now: DateTime<Utc>,
    held_until: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "insert into sweeps as s (name, read_to, held_until) values ($1, $2, $4)
         on conflict (name) do update set held_until = excluded.held_until where s.held_until <= $3
         returning read_to",
    )
    .bind(name)
    .bind(start)
    .bind(now)
    .bind(held_until)
    .fetch_optional(executor)
    .await
}

/// Notes how far a list was read, and when it is read next.
pub async fn read_to(
    executor: impl PgExecutor<'_>,
    name: &str,
    read_to: DateTime<Utc>,
    next: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update sweeps set read_to = greatest(read_to, $2), held_until = $3 where name = $1",
    )
    .bind(name)
    .bind(read_to)
    .bind(next)
    .execute(executor)
    .await?;
    Ok(())
}

/// Has every list read now, at the latest from `since` on.
pub async fn read_again(
    executor: impl PgExecutor<'_>,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into sweeps as s (name, read_to, held_until) select name, $2, $3 from unnest($1::text[]) as name
         on conflict (name) do update
         set read_to = least(s.read_to, excluded.read_to), held_until = excluded.held_until",
    )
    .bind(LISTS.map(|(name, _)| name))
    .bind(since)
    .bind(now)
    .execute(executor)
    .await?;
    Ok(())
}
