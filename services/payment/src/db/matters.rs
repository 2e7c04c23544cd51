//! Matters that a person has to look at, read.

use chrono::{DateTime, Utc};
use common::{
    ids::PaymentId,
    money::{Currency, Money},
};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::Kind;

/// An open matter.
#[derive(Clone, Debug)]
pub struct Matter {
    /// What kind of matter.
    pub kind: Kind,
    /// What it is about.
    pub subject: String,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// How much money.
    pub amount: Option<Money>,
    /// What happened, for a person.
    pub detail: String,
    /// Since when.
    pub opened_at: DateTime<Utc>,
    /// When it will be too late.
    pub due_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    kind: String,
    subject: String,
    payment_id: Option<Uuid>,
    amount_minor: Option<i64>,
    currency: Option<String>,
    detail: String,
    opened_at: DateTime<Utc>,
    due_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Matter {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let unknown = |what: &str| sqlx::Error::Decode(format!("an unknown {what}").into());
        let amount = match (row.amount_minor, row.currency) {
            (Some(minor), Some(code)) => {
                let currency = Currency::parse(&code).map_err(|_| unknown("currency"))?;
                Some(Money::new(minor, currency))
            }
            _ => None,
        };
        Ok(Self {
            kind: Kind::parse(&row.kind).ok_or_else(|| unknown("kind"))?,
            subject: row.subject,
            payment_id: row.payment_id.map(PaymentId::from),
            amount,
            detail: row.detail,
            opened_at: row.opened_at,
            due_at: row.due_at,
        })
    }
}

/// The open matters after a place in their order, oldest first; of one kind, or of all.
pub async fn open(
    executor: impl PgExecutor<'_>,
    kind: Option<Kind>,
    (opened_at, of, subject): (DateTime<Utc>, &str, &str),
    limit: i64,
) -> Result<Vec<Matter>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select kind, subject, payment_id, amount_minor, currency, detail, opened_at, due_at
         from exceptions
         where closed_at is null and (opened_at, kind, subject) > ($1, $2, $3) and ($4::text is null or kind = $4)
         order by opened_at, kind, subject limit $5",
    )
    .bind(opened_at)
    .bind(of)
    .bind(subject)
    .bind(kind.map(Kind::as_str))
    .bind(limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(Matter::try_from).collect()
}

/// Which payment a matter concerns, if any, where it is there and open.
pub async fn payment_of(
    executor: impl PgExecutor<'_>,
    kind: Kind,
    subject: &str,
) -> Result<Option<PaymentId>, sqlx::Error> {
    let payment: Option<Option<Uuid>> = sqlx::query_scalar(
        "select payment_id from exceptions where kind = $1 and subject = $2 and closed_at is null",
    )
    .bind(kind.as_str())
    .bind(subject)
    .fetch_optional(executor)
    .await?;
    Ok(payment.flatten().map(PaymentId::from))
}

/// Whether a matter is there, and if so whether it is open.
pub async fn is_open(
    executor: impl PgExecutor<'_>,
    kind: Kind,
    subject: &str,
) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar("select closed_at is null from exceptions where kind = $1 and subject = $2")
        .bind(kind.as_str())
        .bind(subject)
        .fetch_optional(executor)
        .await
}

/// How many matters of a kind are open, and since when the oldest is.
pub async fn tally(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<(String, i64, DateTime<Utc>)>, sqlx::Error> {
    sqlx::query_as(
        "select kind, count(*), min(opened_at) from exceptions where closed_at is null and opened_at <= $1 group by kind",
    )
    .bind(now)
    .fetch_all(executor)
    .await
}

/// Since when the oldest event waits in the outbox.
pub async fn outbox_waits_since(
    executor: impl PgExecutor<'_>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar("select created_at from outbox order by id limit 1")
        .fetch_optional(executor)
        .await
}
