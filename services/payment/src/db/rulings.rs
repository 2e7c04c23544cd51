//! Verdicts on events that were judged again.

use chrono::{DateTime, Utc};
use common::ids::{PaymentId, UserId};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::Verdict;

/// A verdict on an event that had one before.
pub struct Revised<'a> {
    /// The provider's id of the event.
    pub event_id: &'a str,
    /// Which ruling of it after the first, from 1.
    pub n: i32,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub detail: Option<&'a str>,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// What it changed, as JSON.
    pub diff: Option<String>,
    /// Why it was judged again.
    pub cause: &'a str,
    /// The admin who wanted it.
    pub ruled_by: Option<UserId>,
    /// The request behind it.
    pub trace_id: Option<&'a str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Adds verdicts.
pub async fn insert_all(
    connection: &mut PgConnection,
    revised: &[Revised<'_>],
) -> Result<(), sqlx::Error> {
    if revised.is_empty() {
        return Ok(());
    }
    let all = || revised.iter();
    sqlx::query(
        "insert into webhook_rulings (event_id, n, verdict, detail, payment_id, diff, cause, ruled_by, trace_id, at)
         select event_id, n, verdict, detail, payment_id, diff::jsonb, cause, ruled_by, trace_id, at
         from unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::uuid[],
                     $9::text[], $10::timestamptz[])
              as r (event_id, n, verdict, detail, payment_id, diff, cause, ruled_by, trace_id, at)
         order by event_id",
    )
    .bind(all().map(|r| r.event_id).collect::<Vec<_>>())
    .bind(all().map(|r| r.n).collect::<Vec<_>>())
    .bind(all().map(|r| r.verdict.as_str()).collect::<Vec<_>>())
    .bind(all().map(|r| r.detail).collect::<Vec<_>>())
    .bind(all().map(|r| r.payment_id.map(PaymentId::get)).collect::<Vec<_>>())
    .bind(all().map(|r| r.diff.as_deref()).collect::<Vec<_>>())
    .bind(all().map(|r| r.cause).collect::<Vec<_>>())
    .bind(all().map(|r| r.ruled_by.map(UserId::get)).collect::<Vec<_>>())
    .bind(all().map(|r| r.trace_id).collect::<Vec<_>>())
    .bind(all().map(|r| r.at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// A later verdict, for people.
#[derive(sqlx::FromRow)]
pub struct Later {
    /// Which, from 1.
    pub n: i32,
    /// The verdict.
    pub verdict: String,
    /// Why.
    pub detail: Option<String>,
    /// What it changed.
    pub diff: Option<serde_json::Value>,
    /// Why it was judged again.
    pub cause: String,
    /// The admin who wanted it.
    pub ruled_by: Option<Uuid>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The later verdicts on an event, in their order.
pub async fn of(executor: impl PgExecutor<'_>, event: &str) -> Result<Vec<Later>, sqlx::Error> {
    sqlx::query_as(
        "select n, verdict, detail, diff, cause, ruled_by, at from webhook_rulings where event_id = $1 order by n",
    )
    .bind(event)
    .fetch_all(executor)
    .await
}
