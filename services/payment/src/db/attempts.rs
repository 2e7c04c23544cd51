//! Declined tries.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::PgConnection;

use crate::domain::Decline;

/// A declined try and the event that told of it.
pub struct Declined<'a> {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Version of the snapshot that tells of it.
    pub version: i64,
    /// The webhook event behind it.
    pub psp_event: &'a str,
    /// Why it was declined.
    pub decline: &'a Decline,
    /// When we heard of it.
    pub at: DateTime<Utc>,
}

/// Writes declined tries in their order.
pub async fn insert_all(
    connection: &mut PgConnection,
    tries: &[Declined<'_>],
) -> Result<(), sqlx::Error> {
    if tries.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into payment_attempts (payment_id, version, psp_event, code, decline_code, message, at)
         select payment_id, version, psp_event, code, decline_code, message, at
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
              with ordinality as t (payment_id, version, psp_event, code, decline_code, message, at, n)
         order by n",
    )
    .bind(tries.iter().map(|t| t.payment_id.get()).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.version).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.psp_event).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.decline.code.as_str()).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.decline.decline_code.as_deref()).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.decline.message.as_deref()).collect::<Vec<_>>())
    .bind(tries.iter().map(|t| t.at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
