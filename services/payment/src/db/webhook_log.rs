//! Deliveries and their verdicts, for people.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// An event as it was kept, with the verdict that counts: its last.
#[derive(sqlx::FromRow)]
pub struct Kept {
    /// The provider's id.
    pub event_id: String,
    /// Its type.
    pub kind: String,
    /// The verdict that counts.
    pub verdict: String,
    /// Why.
    pub detail: Option<String>,
    /// The payment that it concerns.
    pub payment_id: Option<Uuid>,
    /// What it changed.
    pub diff: Option<serde_json::Value>,
    /// How it came.
    pub source: String,
    /// The request that brought it.
    pub trace_id: Option<String>,
    /// When it came first.
    pub received_at: DateTime<Utc>,
}

/// An event with what came with it.
#[derive(sqlx::FromRow)]
pub struct Whole {
    /// The provider's id.
    pub event_id: String,
    /// Its type.
    pub kind: String,
    /// The first verdict.
    pub verdict: String,
    /// Why.
    pub detail: Option<String>,
    /// The payment that it concerns.
    pub payment_id: Option<Uuid>,
    /// What it changed.
    pub diff: Option<serde_json::Value>,
    /// How it came.
    pub source: String,
    /// Its bytes, sealed.
    pub body: Vec<u8>,
    /// Its signature header.
    pub signature: String,
    /// What else came with it.
    pub headers: Option<serde_json::Value>,
    /// The request that brought it.
    pub trace_id: Option<String>,
    /// When it came first.
    pub received_at: DateTime<Utc>,
    /// How often it came again.
    pub came_again: i64,
}

/// Events before this place, newest first.
pub async fn list(
    executor: impl PgExecutor<'_>,
    before: (DateTime<Utc>, &str),
    limit: i64,
) -> Result<Vec<Kept>, sqlx::Error> {
    sqlx::query_as(
        "select e.event_id, e.kind, coalesce(r.verdict, e.verdict) as verdict,
                case when r.verdict is null then e.detail else r.detail end as detail,
                coalesce(r.payment_id, e.payment_id) as payment_id,
                case when r.verdict is null then e.diff else r.diff end as diff, e.source, e.trace_id, e.received_at
         from webhook_events e
         left join lateral (select verdict, detail, payment_id, diff from webhook_rulings r
                            where r.event_id = e.event_id order by n desc limit 1) r on true
         where (e.received_at, e.event_id) < ($1, $2)
         order by e.received_at desc, e.event_id desc limit $3",
    )
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(executor)
    .await
}

/// Events whose last verdict is this one, before this place, newest first.
pub async fn list_of(
    executor: impl PgExecutor<'_>,
    verdict: &str,
    before: (DateTime<Utc>, &str),
    limit: i64,
) -> Result<Vec<Kept>, sqlx::Error> {
    sqlx::query_as(
        "select * from (
             (select e.event_id, e.kind, e.verdict, e.detail, e.payment_id, e.diff, e.source, e.trace_id, e.received_at
              from webhook_events e
              where e.verdict = $1 and (e.received_at, e.event_id) < ($2, $3)
                and not exists (select from webhook_rulings r where r.event_id = e.event_id)
              order by e.received_at desc, e.event_id desc limit $4)
             union all
             (select e.event_id, e.kind, r.verdict, r.detail, coalesce(r.payment_id, e.payment_id), r.diff, e.source,
                     e.trace_id, e.received_at
              from webhook_rulings r join webhook_events e on e.event_id = r.event_id and e.provider = 'stripe'
              where r.verdict = $1 and (e.received_at, e.event_id) < ($2, $3)
                and not exists (select from webhook_rulings l where l.event_id = r.event_id and l.n > r.n)
              order by e.received_at desc, e.event_id desc limit $4)) found
         order by received_at desc, event_id desc limit $4",
    )
    .bind(verdict)
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(executor)
    .await
}

/// Deliveries that were not believed, before this place, newest first. They are no events: their id is their slot.
pub async fn rejected(
    executor: impl PgExecutor<'_>,
    before: (DateTime<Utc>, &str),
    limit: i64,
) -> Result<Vec<Kept>, sqlx::Error> {
    sqlx::query_as(
        "select 'rejected_' || slot as event_id, 'unknown' as kind, 'REJECTED' as verdict, reason as detail,
                null::uuid as payment_id, null::jsonb as diff, 'delivered' as source, trace_id, received_at
         from webhook_rejections where received_at <= $1 and (received_at, 'rejected_' || slot) < ($1, $2)
         order by received_at desc, 'rejected_' || slot desc limit $3",
    )
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(executor)
    .await
}

/// The delivery that was not believed and is kept in this slot.
pub async fn find_rejected(
    executor: impl PgExecutor<'_>,
    slot: i32,
) -> Result<Option<Whole>, sqlx::Error> {
    sqlx::query_as(
        "select 'rejected_' || slot as event_id, 'unknown' as kind, 'REJECTED' as verdict, reason as detail,
                null::uuid as payment_id, null::jsonb as diff, 'delivered' as source, body,
                coalesce(headers ->> 'stripe-signature', '') as signature, headers - 'stripe-signature' as headers,
                trace_id, received_at, 0::bigint as came_again
         from webhook_rejections where slot = $1",
    )
    .bind(slot)
    .fetch_optional(executor)
    .await
}

/// One event.
pub async fn find(
    executor: impl PgExecutor<'_>,
    event: &str,
) -> Result<Option<Whole>, sqlx::Error> {
    sqlx::query_as(
        "select event_id, kind, verdict, detail, payment_id, diff, source, body, signature, headers, trace_id, received_at,
                (select count(*) from webhook_deliveries d where d.event_id = e.event_id) as came_again
         from webhook_events e where provider = 'stripe' and event_id = $1",
    )
    .bind(event)
    .fetch_optional(executor)
    .await
}
