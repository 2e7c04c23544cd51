//! Payments, written: made once, moved under their lock, and what is known of the call that opens their intent.
//!
//! Everybody locks payments in id order.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use common::ids::{PaymentId, UserId};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::{Frozen, Payment};

/// A payment about to be made.
pub struct NewPayment {
    /// The payment, at version 1.
    pub payment: Payment,
    /// The call that will open its intent.
    pub frozen: Frozen,
    /// When the call is repeated, where it is about to be made.
    pub retry_at: Option<DateTime<Utc>>,
}

/// Makes the payments that are not there yet, and says which these were. The event and the ticket of a pledge meet
/// here: whichever comes second changes nothing.
pub async fn insert_new(
    connection: &mut PgConnection,
    new: &[&NewPayment],
) -> Result<HashSet<PaymentId>, sqlx::Error> {
    if new.is_empty() {
        return Ok(HashSet::new());
    }
    let payments = || new.iter().map(|new| &new.payment);
    // In id order, so that two replicas with overlapping batches wait for each other instead of deadlocking.
    let inserted = sqlx::query_scalar::<_, Uuid>(
        "insert into payments (payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state,
                               amount_minor, currency, capture, psp_key, psp_request, expires_at, version, traceparent,
                               outcome, requested_at, retry_at, created_at, updated_at)
         select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state,
                amount_minor, currency, capture, psp_key, psp_request, expires_at, version, traceparent,
                outcome, case when retry_at is not null then created_at end, retry_at, created_at, created_at
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::integer[], $8::text[],
                     $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::timestamptz[],
                     $15::bigint[], $16::text[], $17::text[], $18::timestamptz[], $19::timestamptz[])
              as n (payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state,
                    amount_minor, currency, capture, psp_key, psp_request, expires_at, version, traceparent,
                    outcome, retry_at, created_at)
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
    .bind(payments().map(|p| p.outcome.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.retry_at).collect::<Vec<_>>())
    .bind(payments().map(|p| p.created_at).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().map(PaymentId::from).collect())
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
    .execute(connection)
    .await?;
    if saved.rows_affected() == changed.len() as u64 {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}

/// Notes that calls are about to be made, before they are.
pub async fn request(
    connection: &mut PgConnection,
    ids: &[PaymentId],
    now: DateTime<Utc>,
    retry_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update payments p set outcome = 'requested', requested_at = $2, retry_at = $3
         from (select payment_id from payments where payment_id = any($1::uuid[]) and outcome = 'none'
               order by payment_id for update) due
         where p.payment_id = due.payment_id",
    )
    .bind(ids.iter().map(|id| id.get()).collect::<Vec<_>>())
    .bind(now)
    .bind(retry_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Records intents where none is recorded yet, and gives those that are now.
pub async fn record_intents(
    connection: &mut PgConnection,
    answered: &[(PaymentId, &str)],
) -> Result<HashMap<PaymentId, String>, sqlx::Error> {
    if answered.is_empty() {
        return Ok(HashMap::new());
    }
    let recorded: Vec<(Uuid, String)> = sqlx::query_as(
        "update payments p set provider_ref = coalesce(p.provider_ref, due.intent), outcome = 'known', retry_at = null
         from (select q.payment_id, n.intent
               from payments q join unnest($1::uuid[], $2::text[]) as n (payment_id, intent) using (payment_id)
               order by q.payment_id for update of q) due
         where p.payment_id = due.payment_id
         returning p.payment_id, p.provider_ref",
    )
    .bind(answered.iter().map(|(id, _)| id.get()).collect::<Vec<_>>())
    .bind(answered.iter().map(|(_, intent)| *intent).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let typed = |(id, intent)| (PaymentId::from(id), intent);
    Ok(recorded.into_iter().map(typed).collect())
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
