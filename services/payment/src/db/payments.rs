//! Payments: made once, moved under their lock, and what is known of the call that opens their intent.
//!
//! Statements that look up many rows at once are planned at each call (`persistent(false)`): PostgreSQL would keep
//! the plan that it made while the table was small, which reads the whole table, until the next analyze.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use common::{
    events::Failure,
    ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId},
    money::{Currency, Money},
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::{Frozen, Outcome, Payment};

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
    expires_at: DateTime<Utc>,
    version: i64,
    traceparent: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
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

/// A payment about to be made.
pub struct NewPayment {
    /// The payment, at version 1.
    pub payment: Payment,
    /// The call that will open its intent.
    pub frozen: Frozen,
    /// Whether its facts come from the pledge's own event.
    pub announced: bool,
}

/// Makes the payments that are not there yet, and says which these were. The event and the ticket of a pledge meet
/// here: whichever comes second changes nothing.
pub async fn insert_new(
    connection: &mut PgConnection,
    new: &[NewPayment],
) -> Result<HashSet<PaymentId>, sqlx::Error> {
    let payments = || new.iter().map(|new| &new.payment);
    // In id order, so that two replicas with overlapping batches wait for each other instead of deadlocking.
    let inserted = sqlx::query_scalar::<_, Uuid>(
        "insert into payments (payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state,
                               amount_minor, currency, capture, psp_key, psp_request, expires_at, version, traceparent,
                               announced, created_at, updated_at)
         select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state,
                amount_minor, currency, capture, psp_key, psp_request, expires_at, version, traceparent,
                announced, created_at, created_at
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::integer[], $8::text[],
                     $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::timestamptz[],
                     $15::bigint[], $16::text[], $17::boolean[], $18::timestamptz[])
              as n (payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state,
                    amount_minor, currency, capture, psp_key, psp_request, expires_at, version, traceparent,
                    announced, created_at)
         order by payment_id
         on conflict do nothing
         returning payment_id",
    )
    .bind(payments().map(|p| p.payment_id.get()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.pledge_id.get()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.campaign_id.get()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.donor_id.map(UserId::get)).collect::<Vec<_>>())
    .bind(payments().map(|p| p.donor_ref.as_str()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.contact_id.get()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.attempt).collect::<Vec<_>>())
    .bind(payments().map(|p| p.state.as_str()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.amount.minor).collect::<Vec<_>>())
    .bind(payments().map(|p| p.amount.currency.as_str()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.capture.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.frozen.key.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.frozen.request.as_slice()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.expires_at).collect::<Vec<_>>())
    .bind(payments().map(|p| p.version).collect::<Vec<_>>())
    .bind(payments().map(|p| p.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.announced).collect::<Vec<_>>())
    .bind(payments().map(|p| p.created_at).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().map(PaymentId::from).collect())
}

/// Gives payments that were made from a ticket the trace of their pledge, once its event has come.
pub async fn announce(
    connection: &mut PgConnection,
    traces: &[(PaymentId, Option<&str>)],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        // Locked in id order, as everybody locks payments.
        "update payments p set announced = true, traceparent = coalesce(due.traceparent, p.traceparent)
         from (select q.payment_id, n.traceparent
               from payments q join unnest($1::uuid[], $2::text[]) as n (payment_id, traceparent) using (payment_id)
               where not q.announced order by q.payment_id for update of q) due
         where p.payment_id = due.payment_id",
    )
    .bind(traces.iter().map(|(id, _)| id.get()).collect::<Vec<_>>())
    .bind(traces.iter().map(|(_, trace)| *trace).collect::<Vec<_>>())
    .persistent(false)
    .execute(connection)
    .await?;
    Ok(())
}

/// The payment with this id.
pub async fn find(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
) -> Result<Option<Payment>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, expires_at, version, traceparent, created_at, updated_at
         from payments where payment_id = $1",
    )
    .bind(id.get())
    .fetch_optional(executor)
    .await?;
    row.map(Payment::try_from).transpose()
}

/// The last attempt of this pledge.
pub async fn find_by_pledge(
    executor: impl PgExecutor<'_>,
    pledge: PledgeId,
) -> Result<Option<Payment>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, expires_at, version, traceparent, created_at, updated_at
         from payments where pledge_id = $1 order by attempt desc limit 1",
    )
    .bind(pledge.get())
    .fetch_optional(executor)
    .await?;
    row.map(Payment::try_from).transpose()
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
                currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, expires_at, version, traceparent, created_at, updated_at
         from payments
         where payment_id = any($1::uuid[]) or (provider = 'stripe' and provider_ref = any($2::text[]))
         order by payment_id for update",
    )
    .bind(ids.iter().map(|id| id.get()).collect::<Vec<_>>())
    .bind(intents)
    .persistent(false)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Payment::try_from).collect()
}

/// A payment that was changed under its lock.
pub struct Saved<'a> {
    /// As it stands now.
    pub payment: &'a Payment,
    /// The version at which it was locked.
    pub was: i64,
}

/// Writes changed payments back. Each must still be at the version at which it was locked.
///
/// # Errors
/// `RowNotFound` when one is not, which the lock rules out.
pub async fn save(connection: &mut PgConnection, changed: &[Saved<'_>]) -> Result<(), sqlx::Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let payments = || changed.iter().map(|saved| saved.payment);
    let failures = || payments().map(|p| p.failure.as_ref());
    let saved = sqlx::query(
        "update payments p
         set state = n.state, authorized_minor = n.authorized, captured_minor = n.captured, refunded_minor = n.refunded,
             disputed_minor = n.disputed, provider_ref = n.provider_ref, outcome = n.outcome,
             retry_at = case when n.outcome = 'known' then null else p.retry_at end,
             failure_code = n.failure_code, failure_message = n.failure_message, version = n.version,
             updated_at = n.updated_at
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::timestamptz[])
              as n (payment_id, was, state, authorized, captured, refunded, disputed, provider_ref, outcome,
                    failure_code, failure_message, version, updated_at)
         where p.payment_id = n.payment_id and p.version = n.was",
    )
    .bind(payments().map(|p| p.payment_id.get()).collect::<Vec<_>>())
    .bind(changed.iter().map(|saved| saved.was).collect::<Vec<_>>())
    .bind(payments().map(|p| p.state.as_str()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.authorized).collect::<Vec<_>>())
    .bind(payments().map(|p| p.captured).collect::<Vec<_>>())
    .bind(payments().map(|p| p.refunded).collect::<Vec<_>>())
    .bind(payments().map(|p| p.disputed).collect::<Vec<_>>())
    .bind(payments().map(|p| p.provider_ref.as_deref()).collect::<Vec<_>>())
    .bind(payments().map(|p| p.outcome.as_str()).collect::<Vec<_>>())
    .bind(failures().map(|f| f.map(|f| f.code.as_str())).collect::<Vec<_>>())
    .bind(failures().map(|f| f.and_then(|f| f.message.as_deref())).collect::<Vec<_>>())
    .bind(payments().map(|p| p.version).collect::<Vec<_>>())
    .bind(payments().map(|p| p.updated_at).collect::<Vec<_>>())
    .persistent(false)
    .execute(connection)
    .await?;
    if saved.rows_affected() == changed.len() as u64 {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}

/// Notes that the call is about to be made, before it is, and gives its frozen form; none when the intent is known.
pub async fn request(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
    now: DateTime<Utc>,
    retry_at: DateTime<Utc>,
) -> Result<Option<Frozen>, sqlx::Error> {
    let frozen: Option<(String, Vec<u8>)> = sqlx::query_as(
        "update payments
         set outcome = case when outcome = 'none' then 'requested' else outcome end,
             requested_at = coalesce(requested_at, $2), retry_at = coalesce(retry_at, $3)
         where payment_id = $1 and provider_ref is null and outcome <> 'known'
         returning psp_key, psp_request",
    )
    .bind(id.get())
    .bind(now)
    .bind(retry_at)
    .fetch_optional(executor)
    .await?;
    Ok(frozen.map(|(key, request)| Frozen { key, request }))
}

/// Notes the intent that the provider answered with, unless one is known already, and gives the one that is.
pub async fn record_intent(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
    intent: &str,
) -> Result<Option<Payment>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "update payments
         set provider_ref = coalesce(provider_ref, $2), outcome = 'known', retry_at = null
         where payment_id = $1
         returning payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state, amount_minor,
                currency, capture, authorized_minor, captured_minor, refunded_minor, disputed_minor, provider_ref,
                outcome, failure_code, failure_message, expires_at, version, traceparent, created_at, updated_at",
    )
    .bind(id.get())
    .bind(intent)
    .fetch_optional(executor)
    .await?;
    row.map(Payment::try_from).transpose()
}

/// Notes that the call has no answer, and when it is repeated.
pub async fn unanswered(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
    retry_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update payments set outcome = 'unknown', retry_at = $2
         where payment_id = $1 and provider_ref is null and outcome in ('requested', 'unknown')",
    )
    .bind(id.get())
    .bind(retry_at)
    .execute(executor)
    .await?;
    Ok(())
}

/// Takes calls without an answer whose time has come, at most `limit`. Whoever takes one has it for `hold`; of
/// several replicas each takes others.
pub async fn take_unanswered(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    hold: chrono::Duration,
    limit: i64,
) -> Result<Vec<(PaymentId, i32, DateTime<Utc>)>, sqlx::Error> {
    let taken: Vec<(Uuid, i32, DateTime<Utc>)> = sqlx::query_as(
        "update payments p set retry_at = $2, tries = p.tries + 1
         from (select payment_id from payments where retry_at <= $1 order by retry_at limit $3 for update skip locked) due
         where p.payment_id = due.payment_id
         returning p.payment_id, p.tries, p.requested_at",
    )
    .bind(now)
    .bind(now + hold)
    .bind(limit)
    .persistent(false)
    .fetch_all(executor)
    .await?;
    let typed = |(id, tries, requested_at)| (PaymentId::from(id), tries, requested_at);
    Ok(taken.into_iter().map(typed).collect())
}

/// Gives a call without an answer up: nobody may repeat it any more.
pub async fn give_up(executor: impl PgExecutor<'_>, id: PaymentId) -> Result<(), sqlx::Error> {
    sqlx::query("update payments set retry_at = null where payment_id = $1")
        .bind(id.get())
        .execute(executor)
        .await?;
    Ok(())
}
