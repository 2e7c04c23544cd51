//! Payments whose money was paid out.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// Those of these payments that are known to be paid out.
pub async fn known(
    executor: impl PgExecutor<'_>,
    payments: &[PaymentId],
) -> Result<HashSet<PaymentId>, sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select payment_id from paid_out_payments where payment_id = any($1::uuid[])",
    )
    .bind(payments.iter().map(|id| id.get()).collect::<Vec<_>>())
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(PaymentId::from).collect())
}

/// Notes payments, each with the version that tells of it.
pub async fn insert(
    connection: &mut PgConnection,
    payout: &str,
    payments: &[(PaymentId, i64)],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into paid_out_payments (payment_id, payout, version, at)
         select payment_id, $3, version, $4 from unnest($1::uuid[], $2::bigint[]) as p (payment_id, version)
         order by payment_id",
    )
    .bind(payments.iter().map(|(id, _)| id.get()).collect::<Vec<_>>())
    .bind(payments.iter().map(|(_, version)| *version).collect::<Vec<_>>())
    .bind(payout)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
