//! Payments that are called off, and held money that is to be taken or released in time.

use chrono::{DateTime, Utc};
use common::ids::{PaymentId, PledgeId};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{db::attempts::Stopped, domain::Ending};

/// Writes down who called these payments off, where nobody has yet and they can still be charged; the provider is asked
/// from then on.
pub async fn end(
    connection: &mut PgConnection,
    ids: &[PaymentId],
    ending: Ending,
    ask_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update payments p
         set ending = case when due.opens then $2 else p.ending end,
             ending_at = case when due.opens then $3 else p.ending_at end
         from (select payment_id, ending is null and state in ('PENDING', 'AUTHORIZED') as opens
               from payments where payment_id = any($1::uuid[]) order by payment_id for update) due
         where p.payment_id = due.payment_id",
    )
    .bind(ids.iter().map(|id| id.get()).collect::<Vec<_>>())
    .bind(ending.as_str())
    .bind(ask_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Calls off the payments that donors and networks have open who were declined too often. Whoever does this has locked
/// other payments before, so that it waits for none: what somebody else has just now, and what is more than a hundred,
/// goes with the next decline.
pub async fn end_of(
    connection: &mut PgConnection,
    stopped: &Stopped,
    ask_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if stopped.donors.is_empty() && stopped.clients.is_empty() {
        return Ok(());
    }
    let open: Vec<Uuid> = sqlx::query_scalar(
        "select open.payment_id from unnest($1::text[]) as donor (donor_ref)
         cross join lateral (select payment_id from payments p where p.donor_ref = donor.donor_ref
                             and p.state = 'PENDING' and p.ending is null and p.outcome <> 'none' limit 100) open
         union select open.payment_id from unnest($2::text[]) as network (client)
         cross join lateral (select payment_id from payments p where p.client = network.client
                             and p.state = 'PENDING' and p.ending is null and p.outcome <> 'none' limit 100) open",
    )
    .bind(&stopped.donors)
    .bind(&stopped.clients)
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query(
        "update payments p
         set ending = case when due.opens then $2 else p.ending end,
             ending_at = case when due.opens then $3 else p.ending_at end
         from (select payment_id, ending is null and state = 'PENDING' as opens
               from payments where payment_id = any($1::uuid[]) order by payment_id for update skip locked) due
         where p.payment_id = due.payment_id",
    )
    .bind(open)
    .bind(Ending::Declines.as_str())
    .bind(ask_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes down that the donors called these pledges off, on every attempt: no other may follow, and money that comes
/// late is not theirs to give any more.
pub async fn withdraw(
    connection: &mut PgConnection,
    pledges: &[PledgeId],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if pledges.is_empty() {
        return Ok(());
    }
    let pledges: Vec<Uuid> = pledges.iter().map(|id| id.get()).collect();
    // Locked first: the next statement sees an attempt that was made while this one waited.
    sqlx::query(
        "select from payments where pledge_id = any($1::uuid[]) order by payment_id for update",
    )
    .bind(&pledges)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "update payments
         set ending = 'DONOR', ending_tries = ending_tries + (ending is not null)::integer,
             ending_at = case when state in ('PENDING', 'AUTHORIZED') then $2::timestamptz end
         where pledge_id = any($1::uuid[]) and ending is distinct from 'DONOR'",
    )
    .bind(&pledges)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Calls off what was not paid in time, by the database's clock and by ours, so that neither alone ends a payment too
/// early. Replicas take different ones.
pub async fn expire(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "update payments p set ending = 'EXPIRY', ending_at = $1
         from (select payment_id from payments where state = 'PENDING' and ending is null and expires_at <= least(now(), $1)
               order by expires_at limit $2 for update skip locked) due
         where p.payment_id = due.payment_id",
    )
    .bind(now)
    .bind(limit)
    .execute(executor)
    .await?;
    Ok(done.rows_affected())
}

/// Takes payments that were called off and whose time to ask has come, those of donors before all others; whoever takes
/// one has it until `again`.
pub async fn take_endings(
    executor: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    again: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PaymentId>, sqlx::Error> {
    let taken: Vec<Uuid> = sqlx::query_scalar(
        "update payments p set ending_at = $2
         from (select payment_id from payments where ending_at <= $1
               order by (ending <> 'DONOR'), ending_at limit $3 for update skip locked) due
         where p.payment_id = due.payment_id
         returning p.payment_id",
    )
    .bind(now)
    .bind(again)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(taken.into_iter().map(PaymentId::from).collect())
}

/// Notes when the provider is asked to cancel again, by another call; never, where nothing is left to ask.
pub async fn end_again(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
    at: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update payments set ending_at = $2, ending_tries = ending_tries + 1
         where payment_id = $1 and ending_at is not null",
    )
    .bind(id.get())
    .bind(at)
    .execute(executor)
    .await?;
    Ok(())
}

/// Takes back that a payment ran out of time. Whoever calls it off next makes another call: one may have been made.
pub async fn came_in_time(executor: impl PgExecutor<'_>, id: PaymentId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update payments set ending = null, ending_at = null, ending_tries = ending_tries + 1
         where payment_id = $1 and ending = 'EXPIRY'",
    )
    .bind(id.get())
    .execute(executor)
    .await?;
    Ok(())
}

/// Lets a payment rest that a person has ended: nobody asks the provider about it by himself any more.
pub async fn rest(executor: impl PgExecutor<'_>, id: PaymentId) -> Result<(), sqlx::Error> {
    sqlx::query("update payments set retry_at = null, ending_at = null where payment_id = $1")
        .bind(id.get())
        .execute(executor)
        .await?;
    Ok(())
}

/// Notes when held money is to be taken or released.
pub async fn hold_until(
    executor: impl PgExecutor<'_>,
    id: PaymentId,
    due: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("update payments set hold_due = $2 where payment_id = $1")
        .bind(id.get())
        .bind(due)
        .execute(executor)
        .await?;
    Ok(())
}
