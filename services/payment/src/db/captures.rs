//! Held money that is to be taken.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::ids::{PaymentId, UserId};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// A capture that was asked for.
pub struct Capture {
    /// How much, in minor units.
    pub amount: i64,
    /// The admin who asked, if one did.
    pub asked_by: Option<UserId>,
    /// Of the admin's key.
    pub scope: Option<Vec<u8>>,
    /// How often the provider was asked again.
    pub tries: i32,
}

/// Amount, admin, scope and tries.
type Row = (i64, Option<Uuid>, Option<Vec<u8>>, i32);

/// The capture of a payment.
pub async fn find(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
) -> Result<Option<Capture>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select amount_minor, asked_by, scope, tries from captures where payment_id = $1",
    )
    .bind(id.get())
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|(amount, asked_by, scope, tries)| Capture {
        amount,
        asked_by: asked_by.map(UserId::from),
        scope,
        tries,
    }))
}

/// How much is to be taken of these payments, where that was written down.
pub async fn ordered(
    connection: &mut PgConnection,
    ids: &[PaymentId],
) -> Result<HashMap<PaymentId, i64>, sqlx::Error> {
    let ordered: Vec<(Uuid, i64)> = sqlx::query_as(
        "select payment_id, amount_minor from captures where payment_id = any($1::uuid[])",
    )
    .bind(ids.iter().map(|id| id.get()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let typed = |(id, amount)| (PaymentId::from(id), amount);
    Ok(ordered.into_iter().map(typed).collect())
}

/// Writes down that money is to be taken; the caller holds the payment's lock.
pub async fn insert(
    connection: &mut PgConnection,
    id: PaymentId,
    capture: &Capture,
    now: DateTime<Utc>,
    retry_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into captures (payment_id, amount_minor, asked_by, scope, retry_at, asked_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id.get())
    .bind(capture.amount)
    .bind(capture.asked_by.map(UserId::get))
    .bind(capture.scope.as_deref())
    .bind(retry_at)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes captures without an answer whose time has come; whoever takes one has it until `again`.
pub async fn take(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    again: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PaymentId>, sqlx::Error> {
    let taken: Vec<Uuid> = sqlx::query_scalar(
        "update captures c set retry_at = $2, tries = c.tries + 1
         from (select payment_id from captures where retry_at <= $1
               order by retry_at limit $3 for update skip locked) due
         where c.payment_id = due.payment_id
         returning c.payment_id",
    )
    .bind(now)
    .bind(again)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(taken.into_iter().map(PaymentId::from).collect())
}

/// Nothing is left to ask.
pub async fn settle(executor: impl PgExecutor<'_>, id: PaymentId) -> Result<(), sqlx::Error> {
    sqlx::query("update captures set retry_at = null where payment_id = $1")
        .bind(id.get())
        .execute(executor)
        .await?;
    Ok(())
}
