//! Verified deliveries and their verdicts.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::{PROVIDER, Verdict};

/// A delivery and what was decided about it.
pub struct Ruled<'a> {
    /// The provider's id of the event.
    pub event_id: &'a str,
    /// Its type.
    pub kind: &'a str,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub detail: Option<&'a str>,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// The raw bytes, sealed.
    pub body: &'a [u8],
    /// The signature header.
    pub signature: &'a str,
    /// The request that delivered it.
    pub trace_id: Option<&'a str>,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// How it came.
    pub source: &'a str,
    /// What else came with it, as JSON.
    pub headers: Option<&'a str>,
    /// What it changed, as JSON.
    pub diff: Option<String>,
}

/// Which of these events have been ruled upon before. Asked under the payments' locks, this sees whatever another
/// process decided about the same payments.
pub async fn known(
    connection: &mut PgConnection,
    events: &[&str],
) -> Result<HashSet<String>, sqlx::Error> {
    let known: Vec<String> = sqlx::query_scalar(
        "select event_id from webhook_events where provider = $1 and event_id = any($2::text[])",
    )
    .bind(PROVIDER)
    .bind(events)
    .fetch_all(connection)
    .await?;
    Ok(known.into_iter().collect())
}

/// Writes deliveries that are new and gives the events that were: the unique index has the last word.
pub async fn insert_new(
    connection: &mut PgConnection,
    ruled: &[Ruled<'_>],
) -> Result<HashSet<String>, sqlx::Error> {
    if ruled.is_empty() {
        return Ok(HashSet::new());
    }
    // In id order, so that two replicas with overlapping batches wait for each other instead of deadlocking.
    let inserted: Vec<String> = sqlx::query_scalar(
        "insert into webhook_events (provider, event_id, kind, verdict, detail, payment_id, body, signature, trace_id, received_at,
                                     source, headers, diff)
         select $1, event_id, kind, verdict, detail, payment_id, body, signature, trace_id, received_at,
                source, headers::jsonb, diff::jsonb
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::bytea[], $8::text[], $9::text[],
                     $10::timestamptz[], $11::text[], $12::text[], $13::text[])
              as r (event_id, kind, verdict, detail, payment_id, body, signature, trace_id, received_at,
                    source, headers, diff)
         order by event_id
         on conflict do nothing
         returning event_id",
    )
    .bind(PROVIDER)
    .bind(ruled.iter().map(|r| r.event_id).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.kind).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.verdict.as_str()).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.detail).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.payment_id.map(PaymentId::get)).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.body).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.signature).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.trace_id).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.received_at).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.source).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.headers).collect::<Vec<_>>())
    .bind(ruled.iter().map(|r| r.diff.as_deref()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().collect())
}

/// How an event that was judged stands.
#[derive(Clone, Copy)]
pub struct Standing {
    /// Whether it has moved a payment.
    pub had_effect: bool,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// How often it was judged again.
    pub rulings: i32,
}

/// How these events stand. Asked under the payments' locks, and with the events locked as well: an event that concerns
/// no payment of ours may be judged again by two at once.
pub async fn standing(
    connection: &mut PgConnection,
    events: &[&str],
) -> Result<HashMap<String, Standing>, sqlx::Error> {
    if events.is_empty() {
        return Ok(HashMap::new());
    }
    sqlx::query(
        "select from webhook_events where provider = $1 and event_id = any($2::text[]) order by event_id for update",
    )
    .bind(PROVIDER)
    .bind(events)
    .execute(&mut *connection)
    .await?;
    // Another statement, which sees what was decided while this one waited.
    let found: Vec<(String, bool, Option<Uuid>, i32)> = sqlx::query_as(
        "select e.event_id,
                e.verdict in ('APPLIED', 'IMPLIED')
                    or exists (select from webhook_rulings r where r.event_id = e.event_id and r.verdict in ('APPLIED', 'IMPLIED')),
                e.payment_id,
                (select count(*) from webhook_rulings r where r.event_id = e.event_id)::integer
         from webhook_events e where e.provider = $1 and e.event_id = any($2::text[])",
    )
    .bind(PROVIDER)
    .bind(events)
    .fetch_all(connection)
    .await?;
    let standing = |(event, had_effect, payment_id, rulings): (String, _, Option<Uuid>, _)| {
        let payment_id = payment_id.map(PaymentId::from);
        (
            event,
            Standing {
                had_effect,
                payment_id,
                rulings,
            },
        )
    };
    Ok(found.into_iter().map(standing).collect())
}

/// A delivery of an event that had come before.
pub struct Repeated {
    /// The provider's id of the event.
    pub event_id: String,
    /// The request that delivered it.
    pub trace_id: Option<String>,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// Notes deliveries of events that had come before.
pub async fn insert_repeated(
    connection: &mut PgConnection,
    repeated: &[Repeated],
) -> Result<(), sqlx::Error> {
    if repeated.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into webhook_deliveries (event_id, trace_id, received_at)
         select event_id, trace_id, received_at from unnest($1::text[], $2::text[], $3::timestamptz[])
                with ordinality as d (event_id, trace_id, received_at, n) order by n",
    )
    .bind(repeated.iter().map(|r| r.event_id.as_str()).collect::<Vec<_>>())
    .bind(repeated.iter().map(|r| r.trace_id.as_deref()).collect::<Vec<_>>())
    .bind(repeated.iter().map(|r| r.received_at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps a delivery that was not believed, in the place of the oldest such one.
pub async fn reject(
    executor: impl PgExecutor<'_>,
    reason: &str,
    body: &[u8],
    headers: Option<&str>,
    trace_id: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into webhook_rejections (slot, reason, body, headers, trace_id, received_at)
         values (nextval('webhook_rejections_slot')::integer, $1, $2, $3::jsonb, $4, $5)
         on conflict (slot) do update
         set reason = excluded.reason, body = excluded.body, headers = excluded.headers, trace_id = excluded.trace_id,
             received_at = excluded.received_at",
    )
    .bind(reason)
    .bind(body)
    .bind(headers)
    .bind(trace_id)
    .bind(at)
    .execute(executor)
    .await?;
    Ok(())
}
