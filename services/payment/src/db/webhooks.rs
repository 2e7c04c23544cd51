//! Verified deliveries and their verdicts.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::PgConnection;

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
        "insert into webhook_events (provider, event_id, kind, verdict, detail, payment_id, body, signature, trace_id, received_at)
         select $1, event_id, kind, verdict, detail, payment_id, body, signature, trace_id, received_at
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::bytea[], $8::text[], $9::text[],
                     $10::timestamptz[])
              as r (event_id, kind, verdict, detail, payment_id, body, signature, trace_id, received_at)
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
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().collect())
}
