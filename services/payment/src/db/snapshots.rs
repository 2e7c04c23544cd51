//! Payments as they stand, page by page, for services that keep a picture of them.

use chrono::{DateTime, Utc};
use common::{
    events::{Failure, PaymentEvent, PaymentKind},
    ids::PaymentId,
    money::{Currency, Extras, Money},
    payment::State,
};
use sqlx::PgExecutor;
use uuid::Uuid;

#[derive(sqlx::FromRow)]
struct Row {
    payment_id: Uuid,
    pledge_id: Uuid,
    campaign_id: Uuid,
    donor_id: Option<Uuid>,
    donor_ref: String,
    contact_id: Uuid,
    attempt: i32,
    state: String,
    amount_minor: i64,
    tip_minor: i64,
    covered_fee_minor: i64,
    currency: String,
    authorized_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
    disputed_minor: i64,
    provider: String,
    provider_ref: Option<String>,
    failure_code: Option<String>,
    failure_message: Option<String>,
    version: i64,
    updated_at: DateTime<Utc>,
}

/// At most `limit` payments whose ids come after one, in the order of their ids.
pub async fn after(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<PaymentEvent>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                tip_minor, covered_fee_minor, currency, authorized_minor, captured_minor, refunded_minor,
                disputed_minor, provider, provider_ref, failure_code, failure_message, version, updated_at
         from payments where payment_id > $1 order by payment_id limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(PaymentEvent::try_from).collect()
}

impl TryFrom<Row> for PaymentEvent {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let currency = Currency::parse(&row.currency).map_err(decode)?;
        let state: State = row.state.parse().map_err(decode)?;
        Ok(Self {
            kind: kind(state),
            payment_id: PaymentId::from(row.payment_id),
            pledge_id: row.pledge_id.into(),
            campaign_id: row.campaign_id.into(),
            donor_id: row.donor_id.map(Into::into),
            donor_ref: row.donor_ref,
            contact_id: row.contact_id.into(),
            attempt: row.attempt,
            state,
            previous: None,
            implied: Vec::new(),
            amount: Money::new(row.amount_minor, currency),
            extras: Extras {
                tip: row.tip_minor,
                covered_fee: row.covered_fee_minor,
            },
            authorized: row.authorized_minor,
            captured: row.captured_minor,
            refunded: row.refunded_minor,
            disputed: row.disputed_minor,
            provider: row.provider,
            provider_ref: row.provider_ref,
            failure: row.failure_code.map(|code| Failure {
                code,
                message: row.failure_message,
            }),
            version: row.version,
            occurred_at: row.updated_at,
        })
    }
}

/// The event that brings a payment to where it stands; which one did is a matter of its history.
fn kind(state: State) -> PaymentKind {
    match state {
        State::Pending => PaymentKind::Created,
        State::Authorized => PaymentKind::Authorized,
        State::Captured => PaymentKind::Captured,
        State::Completed => PaymentKind::Completed,
        State::Failed => PaymentKind::Failed,
        State::Expired => PaymentKind::Expired,
        State::Cancelled => PaymentKind::Cancelled,
        State::Refunded => PaymentKind::Refunded,
    }
}

fn decode(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
