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
    /// Of the body that came with it.
    pub fingerprint: Option<Vec<u8>>,
    /// How often the provider was asked without an end of it.
    pub tries: i32,
    /// Whether the provider refused it for good: it stands in the way of nothing then.
    pub refused: bool,
}

/// Amount, admin, scope, fingerprint, tries, and whether it was refused.
type Row = (
    i64,
    Option<Uuid>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    i32,
    bool,
);

/// The capture of a payment.
pub async fn find(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
) -> Result<Option<Capture>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select amount_minor, asked_by, scope, fingerprint, tries, refused is not null from captures
         where payment_id = $1",
    )
    .bind(id.get())
    .fetch_optional(executor)
    .await?;
    Ok(row.map(
        |(amount, asked_by, scope, fingerprint, tries, refused)| Capture {
            amount,
            asked_by: asked_by.map(UserId::from),
            scope,
            fingerprint,
            tries,
            refused,
        },
    ))
}

/// How much is to be taken of these payments, where that was written down and not refused.
pub async fn ordered(
    connection: &mut PgConnection,
    ids: &[PaymentId],
) -> Result<HashMap<PaymentId, i64>, sqlx::Error> {
    let ordered: Vec<(Uuid, i64)> = sqlx::query_as(
        "select payment_id, amount_minor from captures where payment_id = any($1::uuid[]) and refused is null",
    )
    .bind(ids.iter().map(|id| id.get()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let typed = |(id, amount)| (PaymentId::from(id), amount);
    Ok(ordered.into_iter().map(typed).collect())
}

/// Writes down that money is to be taken, in the place of a capture that was refused; the caller holds the payment's
/// lock. The tries go on being counted: the provider answers each by its own key.
pub async fn write(
    connection: &mut PgConnection,
    id: PaymentId,
    capture: &Capture,
    now: DateTime<Utc>,
    retry_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into captures (payment_id, amount_minor, asked_by, scope, fingerprint, retry_at, asked_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (payment_id) do update
         set amount_minor = excluded.amount_minor, asked_by = excluded.asked_by, scope = excluded.scope,
             fingerprint = excluded.fingerprint, retry_at = excluded.retry_at, asked_at = excluded.asked_at,
             refused = null
         where captures.refused is not null",
    )
    .bind(id.get())
    .bind(capture.amount)
    .bind(capture.asked_by.map(UserId::get))
    .bind(capture.scope.as_deref())
    .bind(capture.fingerprint.as_deref())
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
        "update captures c set retry_at = $2
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

/// Notes when the provider is asked again, by another call.
pub async fn ask_again(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update captures set retry_at = $2, tries = tries + 1 where payment_id = $1 and retry_at is not null",
    )
    .bind(id.get())
    .bind(at)
    .execute(executor)
    .await?;
    Ok(())
}

/// The provider will never take the money; nobody asks it again, unless an admin does.
pub async fn refuse(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
    code: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update captures set refused = $2, retry_at = null, tries = tries + 1
         where payment_id = $1 and retry_at is not null",
    )
    .bind(id.get())
    .bind(code)
    .execute(executor)
    .await?;
    Ok(())
}

/// Nothing is left to ask.
pub async fn settle(executor: impl PgExecutor<'_>, id: PaymentId) -> Result<(), sqlx::Error> {
    sqlx::query("update captures set retry_at = null where payment_id = $1")
        .bind(id.get())
        .execute(executor)
        .await?;
    Ok(())
}
