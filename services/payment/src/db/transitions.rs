//! The history of payments.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::{PgConnection, PgExecutor};

use crate::domain::Transition;

/// A step of a payment, with what caused it.
pub struct Recorded<'a> {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Version of the snapshot that tells of it.
    pub version: i64,
    /// The step.
    pub step: Transition,
    /// The provider's event type, or what else moved it.
    pub cause: &'a str,
    /// The webhook event behind it.
    pub psp_event: Option<&'a str>,
    /// The request behind it.
    pub trace_id: Option<&'a str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Writes steps in their order.
pub async fn insert_all(
    connection: &mut PgConnection,
    steps: &[Recorded<'_>],
) -> Result<(), sqlx::Error> {
    if steps.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into payment_transitions (payment_id, version, from_state, to_state, cause, implied, psp_event, trace_id, at)
         select payment_id, version, from_state, to_state, cause, implied, psp_event, trace_id, at
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::text[],
                     $9::timestamptz[])
              with ordinality as s (payment_id, version, from_state, to_state, cause, implied, psp_event, trace_id, at, n)
         order by n",
    )
    .bind(steps.iter().map(|s| s.payment_id.get()).collect::<Vec<_>>())
    .bind(steps.iter().map(|s| s.version).collect::<Vec<_>>())
    .bind(steps.iter().map(|s| s.step.from.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|s| s.step.to.as_str()).collect::<Vec<_>>())
    .bind(steps.iter().map(|s| s.cause).collect::<Vec<_>>())
    .bind(steps.iter().map(|s| s.step.implied).collect::<Vec<_>>())
    .bind(steps.iter().map(|s| s.psp_event).collect::<Vec<_>>())
    .bind(steps.iter().map(|s| s.trace_id).collect::<Vec<_>>())
    .bind(steps.iter().map(|s| s.at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the payment's money ever became available, be it after all of it went back.
pub async fn was_settled(
    executor: impl PgExecutor<'_>,
    payment: PaymentId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from payment_transitions where payment_id = $1 and to_state = 'COMPLETED')
             or exists (select from ledger_sets where payment_id = $1 and effect = 'settled')",
    )
    .bind(payment.get())
    .fetch_one(executor)
    .await
}
