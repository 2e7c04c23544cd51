//! Money that was taken on ended payments, and what was decided about it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::Payment;

/// Notes the decision about a payment that has just been captured late, once.
pub async fn insert(
    connection: &mut PgConnection,
    payment: &Payment,
    refusal: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into late_captures (payment_id, amount_minor, currency, decision, reason, at)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
    )
    .bind(payment.payment_id.get())
    .bind(payment.captured)
    .bind(payment.amount.currency.as_str())
    .bind(if refusal.is_some() {
        "REFUND"
    } else {
        "REVIVED"
    })
    .bind(refusal.unwrap_or("the campaign takes gifts, and nothing else pays for the pledge"))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
