//! Payments, written: made once, moved under their lock, and what is known of the call that opens their intent.
//!
//! Everybody locks payments in id order.

mod endings;

pub use endings::{
    came_in_time, end, end_again, end_of, expire, hold_until, rest, take_endings, withdraw,
};

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use common::{
    ids::{PaymentId, UserId},
    payment::State,
};
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
    /// The network that the payer asked from, as a pseudonym.
    pub client: Option<String>,
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
                               outcome, requested_at, retry_at, created_at, updated_at, tip_minor, covered_fee_minor,
                               client)
         select payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state,
                amount_minor, currency, capture, psp_key, psp_request, expires_at, version, traceparent,
                outcome, case when retry_at is not null then created_at end, retry_at, created_at, created_at,
                tip_minor, covered_fee_minor, client
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::integer[], $8::text[],
                     $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::timestamptz[],
                     $15::bigint[], $16::text[], $17::text[], $18::timestamptz[], $19::timestamptz[],
                     $20::bigint[], $21::bigint[], $22::text[])
              as n (payment_id, pledge_id, campaign_id, donor_id, donor_ref, contact_id, attempt, state,
                    amount_minor, currency, capture, psp_key, psp_request, expires_at, version, traceparent,
                    outcome, retry_at, created_at, tip_minor, covered_fee_minor, client)
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
    .bind(payments().map(|p| p.extras.tip).collect::<Vec<_>>())
    .bind(payments().map(|p| p.extras.covered_fee).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.client.as_deref()).collect::<Vec<_>>())
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
             retry_at = case when n.outcome = 'known' and p.outcome <> 'known' then null else p.retry_at end,
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

/// Notes that calls are about to be made, before they are, and from which network they were asked for.
pub async fn request(
    connection: &mut PgConnection,
    due: &[(PaymentId, Option<&str>)],
    now: DateTime<Utc>,
    retry_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if due.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update payments p set outcome = 'requested', requested_at = $3, retry_at = $4, client = due.client
         from (select q.payment_id, n.client
               from payments q join unnest($1::uuid[], $2::text[]) as n (payment_id, client) using (payment_id)
               where q.outcome = 'none' order by q.payment_id for update of q) due
         where p.payment_id = due.payment_id",
    )
    .bind(due.iter().map(|(id, _)| id.get()).collect::<Vec<_>>())
    .bind(due.iter().map(|(_, client)| *client).collect::<Vec<_>>())
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
        "update payments p set provider_ref = coalesce(p.provider_ref, due.intent), outcome = 'known',
                retry_at = case when p.outcome = 'known' then p.retry_at end
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

/// A payment that the provider is to be asked about now.
pub struct Due {
    /// Which.
    pub payment_id: PaymentId,
    /// How often it was asked about in a row.
    pub tries: i32,
    /// When its intent was asked for first.
    pub requested_at: Option<DateTime<Utc>>,
    /// Until when whoever took it has it.
    pub held_until: DateTime<Utc>,
}

type DueRow = (Uuid, i32, Option<DateTime<Utc>>, DateTime<Utc>);

fn due((id, tries, requested_at, held_until): DueRow) -> Due {
    Due {
        payment_id: id.into(),
        tries,
        requested_at,
        held_until,
    }
}

/// Takes payments whose time has come, at most `limit`. Whoever takes one has it until `held_until`; of several
/// replicas each takes others.
pub async fn take_due(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    held_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    let taken: Vec<DueRow> = sqlx::query_as(
        "update payments p set retry_at = $2, tries = p.tries + 1
         from (select payment_id from payments where retry_at <= $1 order by retry_at limit $3 for update skip locked) due
         where p.payment_id = due.payment_id
         returning p.payment_id, p.tries, p.requested_at, p.retry_at",
    )
    .bind(now)
    .bind(held_until)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(taken.into_iter().map(due).collect())
}

/// Takes payments that have stood in this state since before `since` and that nobody watches, at most `limit`: none of
/// the provider's webhooks has told more of them.
pub async fn take_unwatched(
    executor: impl PgExecutor<'_>,
    state: State,
    since: DateTime<Utc>,
    held_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    let taken: Vec<DueRow> = sqlx::query_as(
        "update payments p set retry_at = $3, tries = 1
         from (select payment_id from payments
               where state = $1 and updated_at <= $2 and retry_at is null and outcome = 'known'
                     and state in ('PENDING', 'AUTHORIZED', 'CAPTURED')
               order by updated_at limit $4 for update skip locked) due
         where p.payment_id = due.payment_id
         returning p.payment_id, p.tries, p.requested_at, p.retry_at",
    )
    .bind(state.as_str())
    .bind(since)
    .bind(held_until)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(taken.into_iter().map(due).collect())
}

/// Lets a payment go that was taken, and says when it is looked at next; `afresh` when something has changed. Where
/// somebody has it looked at sooner meanwhile, that stays.
pub async fn looked_at(
    executor: impl PgExecutor<'_>,
    taken: &Due,
    next: Option<DateTime<Utc>>,
    afresh: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update payments set retry_at = $3, tries = case when $4 then 0 else tries end
         where payment_id = $1 and retry_at = $2",
    )
    .bind(taken.payment_id.get())
    .bind(taken.held_until)
    .bind(next)
    .bind(afresh)
    .execute(executor)
    .await?;
    Ok(())
}

/// Has the provider asked about these payments at this time, unless that is to happen sooner.
pub async fn ask_by(
    connection: &mut PgConnection,
    ids: &[PaymentId],
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update payments p set retry_at = least(p.retry_at, $2)
         from (select payment_id from payments where payment_id = any($1::uuid[]) order by payment_id for update) due
         where p.payment_id = due.payment_id",
    )
    .bind(ids.iter().map(|id| id.get()).collect::<Vec<_>>())
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Has the provider asked now about every payment that it may still move. There may be many.
pub async fn ask_now(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query("set local statement_timeout = '10min'")
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "update payments set retry_at = $1, tries = 0
         where outcome = 'known' and state in ('PENDING', 'AUTHORIZED', 'CAPTURED')",
    )
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
