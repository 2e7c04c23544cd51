//! Disputes, as the provider last told of them.

use chrono::{DateTime, Utc};
use common::{
    ids::PaymentId,
    money::{Currency, Money},
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::{Dispute, DisputeStatus};

#[derive(sqlx::FromRow)]
struct Row {
    dispute_id: String,
    payment_id: Uuid,
    amount_minor: i64,
    currency: String,
    reason: String,
    status: String,
    evidence_due: Option<DateTime<Utc>>,
    submissions: i32,
    withdrawn_minor: i64,
    fee_minor: i64,
    transactions: Vec<String>,
    seen_at: DateTime<Utc>,
    opened_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Dispute {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let currency = Currency::parse(&row.currency);
        let currency = currency.map_err(|error| sqlx::Error::Decode(error.into()))?;
        let status = DisputeStatus::parse(&row.status);
        Ok(Self {
            dispute_id: row.dispute_id,
            payment_id: PaymentId::from(row.payment_id),
            amount: Money::new(row.amount_minor, currency),
            reason: row.reason,
            status: status.ok_or_else(|| sqlx::Error::Decode("an unknown status".into()))?,
            evidence_due: row.evidence_due,
            submissions: row.submissions,
            withdrawn: row.withdrawn_minor,
            fee: row.fee_minor,
            transactions: row.transactions,
            seen_at: row.seen_at,
            opened_at: row.opened_at,
            updated_at: row.updated_at,
        })
    }
}

/// A payment's disputes, the oldest first.
pub async fn of_payment(
    executor: impl PgExecutor<'_>,
    payment: PaymentId,
) -> Result<Vec<Dispute>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select dispute_id, payment_id, amount_minor, currency, reason, status, evidence_due, submissions,
                withdrawn_minor, fee_minor, transactions, seen_at, opened_at, updated_at
         from disputes where payment_id = $1 order by opened_at, dispute_id",
    )
    .bind(payment.get())
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(Dispute::try_from).collect()
}

/// The dispute with this id.
pub async fn find(executor: impl PgExecutor<'_>, id: &str) -> Result<Option<Dispute>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select dispute_id, payment_id, amount_minor, currency, reason, status, evidence_due, submissions,
                withdrawn_minor, fee_minor, transactions, seen_at, opened_at, updated_at
         from disputes where dispute_id = $1",
    )
    .bind(id)
    .fetch_optional(executor)
    .await?;
    row.map(Dispute::try_from).transpose()
}

/// Disputes of these statuses before this place, newest first.
pub async fn list(
    executor: impl PgExecutor<'_>,
    statuses: &[DisputeStatus],
    before: (DateTime<Utc>, &str),
    limit: i64,
) -> Result<Vec<Dispute>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select dispute_id, payment_id, amount_minor, currency, reason, status, evidence_due, submissions,
                withdrawn_minor, fee_minor, transactions, seen_at, opened_at, updated_at
         from disputes where status = any($1::text[]) and (opened_at, dispute_id) < ($2, $3)
         order by opened_at desc, dispute_id desc limit $4",
    )
    .bind(statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>())
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(Dispute::try_from).collect()
}

/// Writes disputes that are new or changed, under their payments' locks.
pub async fn save(connection: &mut PgConnection, disputes: &[Dispute]) -> Result<(), sqlx::Error> {
    for dispute in disputes {
        sqlx::query(
            "insert into disputes (dispute_id, payment_id, amount_minor, currency, reason, status, evidence_due, submissions,
                                   withdrawn_minor, fee_minor, transactions, seen_at, opened_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             on conflict (dispute_id) do update
             set amount_minor = excluded.amount_minor, reason = excluded.reason, status = excluded.status,
                 evidence_due = excluded.evidence_due, submissions = excluded.submissions,
                 withdrawn_minor = excluded.withdrawn_minor, fee_minor = excluded.fee_minor,
                 transactions = excluded.transactions, seen_at = excluded.seen_at, updated_at = excluded.updated_at",
        )
        .bind(&dispute.dispute_id)
        .bind(dispute.payment_id.get())
        .bind(dispute.amount.minor)
        .bind(dispute.amount.currency.as_str())
        .bind(&dispute.reason)
        .bind(dispute.status.as_str())
        .bind(dispute.evidence_due)
        .bind(dispute.submissions)
        .bind(dispute.withdrawn)
        .bind(dispute.fee)
        .bind(&dispute.transactions)
        .bind(dispute.seen_at)
        .bind(dispute.opened_at)
        .bind(dispute.updated_at)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
