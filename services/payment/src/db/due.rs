//! Payments that something has to be done about, read.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::PgExecutor;
use uuid::Uuid;

/// How often the provider was asked again to cancel this payment's intent.
pub async fn tries(executor: impl PgExecutor<'_>, id: PaymentId) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("select ending_tries from payments where payment_id = $1")
        .bind(id.get())
        .fetch_one(executor)
        .await
}

/// Payments with held money of which it is not known how long it is held. Any of them: those of which the provider says
/// nothing must not keep the others waiting for ever.
pub async fn new_holds(
    executor: impl PgExecutor<'_>,
    limit: i64,
) -> Result<Vec<PaymentId>, sqlx::Error> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "select payment_id from payments
         where state = 'AUTHORIZED' and ending is null and hold_due is null
         order by random() limit $1",
    )
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(found.into_iter().map(PaymentId::from).collect())
}

/// Payments whose held money is to be taken or released now, and of which nobody has asked for that yet.
pub async fn old_holds(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PaymentId>, sqlx::Error> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "select payment_id from payments p
         where state = 'AUTHORIZED' and ending is null and hold_due <= $1
           and not exists (select from captures c where c.payment_id = p.payment_id)
         order by hold_due limit $2",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(found.into_iter().map(PaymentId::from).collect())
}
