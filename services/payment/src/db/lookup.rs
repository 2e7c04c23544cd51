//! Payments, read: by id, by pledge, under their lock, and with the call that opens their intent.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use common::{
    events::Failure,
    ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId},
    money::{Currency, Extras, Money},
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::{Called, Ending, Frozen, Outcome, Payment};

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
    capture: String,
    authorized_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
    disputed_minor: i64,
    provider_ref: Option<String>,
    outcome: String,
    failure_code: Option<String>,
    failure_message: Option<String>,
    ending: Option<String>,
    expires_at: DateTime<Utc>,
    version: i64,
    traceparent: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct CalledRow {
    #[sqlx(flatten)]
    payment: Row,
    psp_key: String,
    psp_request: Vec<u8>,
}

impl TryFrom<CalledRow> for Called {
    type Error = sqlx::Error;

    fn try_from(row: CalledRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            payment: row.payment.try_into()?,
            call: Frozen {
                key: row.psp_key,
                request: row.psp_request,
            },
        })
    }
}

impl TryFrom<Row> for Payment {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let currency = Currency::parse(&row.currency).map_err(decode)?;
        let outcome = Outcome::parse(&row.outcome).ok_or_else(|| decode("an unknown outcome"))?;
        Ok(Self {
            payment_id: PaymentId::from(row.payment_id),
            pledge_id: PledgeId::from(row.pledge_id),
            campaign_id: CampaignId::from(row.campaign_id),
            donor_id: row.donor_id.map(UserId::from),
            donor_ref: row.donor_ref,
            contact_id: ContactId::from(row.contact_id),
            attempt: row.attempt,
            state: row.state.parse().map_err(decode)?,
            amount: Money::new(row.amount_minor, currency),
            extras: Extras {
                tip: row.tip_minor,
                covered_fee: row.covered_fee_minor,
            },
            capture: row.capture.parse().map_err(decode)?,
            authorized: row.authorized_minor,
            captured: row.captured_minor,
            refunded: row.refunded_minor,
            disputed: row.disputed_minor,
            provider_ref: row.provider_ref,
            outcome,
            failure: row.failure_code.map(|code| Failure {
                code,
                message: row.failure_message,
            }),
            ending: row
                .ending
                .map(|ending| Ending::parse(&ending).ok_or_else(|| decode("an unknown ending")))
                .transpose()?,
            expires_at: row.expires_at,
            version: row.version,
            traceparent: row.traceparent,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn decode(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// The payment with this id.
pub async fn find(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
) -> Result<Option<Payment>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                tip_minor, covered_fee_minor, currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, ending, expires_at, version, traceparent, created_at, updated_at
         from payments where payment_id = $1",
    )
    .bind(id.get())
    .fetch_optional(executor)
    .await?;
    row.map(Payment::try_from).transpose()
}

/// The last attempt of this pledge.
pub async fn last_attempt(
    executor: impl PgExecutor<'_>,
    pledge: PledgeId,
) -> Result<Option<Payment>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                tip_minor, covered_fee_minor, currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, ending, expires_at, version, traceparent, created_at, updated_at
         from payments where pledge_id = $1 order by attempt desc limit 1",
    )
    .bind(pledge.get())
    .fetch_optional(executor)
    .await?;
    row.map(Payment::try_from).transpose()
}

/// The last attempts of these pledges, each with its call.
pub async fn last_attempts(
    connection: &mut PgConnection,
    pledges: &[PledgeId],
) -> Result<Vec<Called>, sqlx::Error> {
    if pledges.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<CalledRow> = sqlx::query_as(
        "select distinct on (pledge_id)
                payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                tip_minor, covered_fee_minor, currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, ending, expires_at, version, traceparent, created_at, updated_at,
                psp_key, psp_request
         from payments where pledge_id = any($1::uuid[]) order by pledge_id, attempt desc",
    )
    .bind(pledges.iter().map(|id| id.get()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Called::try_from).collect()
}

/// The payment with this id and its call.
pub async fn find_called(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
) -> Result<Option<Called>, sqlx::Error> {
    let row: Option<CalledRow> = sqlx::query_as(
        "select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                tip_minor, covered_fee_minor, currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, ending, expires_at, version, traceparent, created_at, updated_at,
                psp_key, psp_request
         from payments where payment_id = $1",
    )
    .bind(id.get())
    .fetch_optional(executor)
    .await?;
    row.map(Called::try_from).transpose()
}

/// Locks the payments with these ids or intents, in id order, until the transaction ends.
pub async fn lock(
    connection: &mut PgConnection,
    ids: &[PaymentId],
    intents: &[&str],
) -> Result<Vec<Payment>, sqlx::Error> {
    if ids.is_empty() && intents.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                tip_minor, covered_fee_minor, currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, ending, expires_at, version, traceparent, created_at, updated_at
         from payments
         where payment_id = any($1::uuid[]) or (provider = 'stripe' and provider_ref = any($2::text[]))
         order by payment_id for update",
    )
    .bind(ids.iter().map(|id| id.get()).collect::<Vec<_>>())
    .bind(intents)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Payment::try_from).collect()
}

/// Locks all attempts of a pledge until the transaction ends. One that was made while these locks were waited for is
/// among them.
pub async fn lock_attempts(
    connection: &mut PgConnection,
    pledge: PledgeId,
) -> Result<Vec<Payment>, sqlx::Error> {
    let mut locked = Vec::new();
    loop {
        let ids: Vec<Uuid> =
            sqlx::query_scalar("select payment_id from payments where pledge_id = $1")
                .bind(pledge.get())
                .fetch_all(&mut *connection)
                .await?;
        // Attempts are only ever added, and by whoever holds the lock of the last one.
        if ids.len() == locked.len() {
            return Ok(locked);
        }
        let ids: Vec<PaymentId> = ids.into_iter().map(PaymentId::from).collect();
        locked = lock(&mut *connection, &ids, &[]).await?;
    }
}

/// Those of these pledges that a payment stands for, whichever attempt it is: it can still be paid, or it was.
pub async fn standing(
    connection: &mut PgConnection,
    pledges: &[PledgeId],
) -> Result<HashSet<PledgeId>, sqlx::Error> {
    if pledges.is_empty() {
        return Ok(HashSet::new());
    }
    let standing: Vec<Uuid> = sqlx::query_scalar(
        // The attempts first, then their states: an index of open payments must not be read for this.
        "select distinct pledge_id
         from (select pledge_id, state from payments where pledge_id = any($1::uuid[]) offset 0) attempts
         where state in ('PENDING', 'AUTHORIZED', 'CAPTURED', 'COMPLETED')",
    )
    .bind(pledges.iter().map(|id| id.get()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(standing.into_iter().map(PledgeId::from).collect())
}

/// The ids of the payments with these intents.
pub async fn ids_of(
    executor: impl PgExecutor<'_>,
    intents: &[&str],
) -> Result<Vec<PaymentId>, sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select payment_id from payments where provider = 'stripe' and provider_ref = any($1::text[])",
    )
    .bind(intents)
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(PaymentId::from).collect())
}

/// Which of these refunds and disputes of the provider's we know.
pub async fn known_back(
    executor: impl PgExecutor<'_>,
    ids: &[&str],
) -> Result<HashSet<String>, sqlx::Error> {
    let known: Vec<String> = sqlx::query_scalar(
        "select psp_refund from refunds where psp_refund = any($1::text[])
         union all select dispute_id from disputes where dispute_id = any($1::text[])",
    )
    .bind(ids)
    .fetch_all(executor)
    .await?;
    Ok(known.into_iter().collect())
}

/// The payments with these ids, in the order of their ids.
pub async fn all(executor: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<Payment>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                tip_minor, covered_fee_minor, currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, ending, expires_at, version, traceparent, created_at, updated_at
         from payments where payment_id = any($1::uuid[]) order by payment_id",
    )
    .bind(ids)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(Payment::try_from).collect()
}

/// At most `limit` payments whose ids come after one, in the order of their ids.
pub async fn after(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Payment>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                tip_minor, covered_fee_minor, currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, ending, expires_at, version, traceparent, created_at, updated_at
         from payments where payment_id > $1 order by payment_id limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(Payment::try_from).collect()
}
