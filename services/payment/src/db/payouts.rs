//! What the provider paid out, and what of it is in the books.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::{Fit, Payout, Transaction};

/// A payout as it was kept.
#[derive(sqlx::FromRow)]
pub struct Kept {
    /// Its id.
    pub payout: String,
    /// Its currency, in lower case.
    pub currency: String,
    /// In minor units.
    pub amount_minor: i64,
    /// Where it stood when it was looked at last.
    pub status: String,
    /// When it arrives.
    pub arrives_at: DateTime<Utc>,
    /// Of how many entries of our account it is made.
    pub entries: i64,
    /// How many of them are in the books as they should be.
    pub matched: i64,
}

/// The payouts that were made in this time, earliest first.
pub async fn made(
    executor: impl PgExecutor<'_>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Kept>, sqlx::Error> {
    // The provider tells whole seconds.
    sqlx::query_as(
        "select payout, currency, amount_minor, status, arrives_at, counted.entries, counted.matched
         from payouts p
         cross join lateral (select count(*) as entries, count(*) filter (where verdict = 'MATCHED') as matched
                             from payout_items i where i.payout = p.payout) counted
         where created_at >= date_trunc('second', $1::timestamptz) and created_at < $2
         order by created_at, payout limit $3",
    )
    .bind(from)
    .bind(until)
    .bind(limit)
    .fetch_all(executor)
    .await
}

/// Those of these payouts that are known to have failed.
pub async fn failed(
    executor: impl PgExecutor<'_>,
    payouts: &[&str],
) -> Result<HashSet<String>, sqlx::Error> {
    let failed: Vec<String> = sqlx::query_scalar(
        "select payout from payouts where payout = any($1::text[]) and status in ('failed', 'canceled')",
    )
    .bind(payouts)
    .fetch_all(executor)
    .await?;
    Ok(failed.into_iter().collect())
}

/// Those of these payouts of which it was never read what they are made of, or of which something is not in the books
/// as it should be; earliest first.
pub async fn unread(
    executor: impl PgExecutor<'_>,
    payouts: &[&str],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select payout from payouts p
         where payout = any($1::text[])
           and (parts_read_at is null
                or exists (select from payout_items i
                           where i.payout = p.payout and i.verdict not in ('MATCHED', 'OTHER')))
         order by created_at, payout",
    )
    .bind(payouts)
    .fetch_all(executor)
    .await
}

/// Payments of which nobody told yet that they are paid out, and whose charge is in this payout and in the books; by id,
/// from the first after the given one.
pub async fn untold(
    executor: impl PgExecutor<'_>,
    payout: &str,
    after: Uuid,
    limit: i64,
) -> Result<Vec<PaymentId>, sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select distinct i.payment_id from payout_items i
         where i.payout = $1 and i.kind = 'charge' and i.verdict = 'MATCHED' and i.payment_id > $2
           and not exists (select from paid_out_payments o where o.payment_id = i.payment_id)
         order by i.payment_id limit $3",
    )
    .bind(payout)
    .bind(after)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(PaymentId::from).collect())
}

/// Keeps payouts as they stand now; one that has failed stays so.
pub async fn keep(connection: &mut PgConnection, payouts: &[Payout]) -> Result<(), sqlx::Error> {
    if payouts.is_empty() {
        return Ok(());
    }
    let at = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    sqlx::query(
        "insert into payouts (payout, currency, amount_minor, status, arrives_at, created_at)
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[])
                as p (payout, currency, amount_minor, status, arrives_at, created_at)
         order by payout
         on conflict (payout) do update set status = excluded.status, arrives_at = excluded.arrives_at
         where payouts.status not in ('failed', 'canceled')",
    )
    .bind(payouts.iter().map(|p| p.id.as_str()).collect::<Vec<_>>())
    .bind(payouts.iter().map(|p| p.currency.as_str()).collect::<Vec<_>>())
    .bind(payouts.iter().map(|p| p.amount).collect::<Vec<_>>())
    .bind(payouts.iter().map(|p| p.status.as_str()).collect::<Vec<_>>())
    .bind(payouts.iter().map(|p| at(p.arrival_date)).collect::<Vec<_>>())
    .bind(payouts.iter().map(|p| at(p.created)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps everything that a payout is made of, and how each part fits the books now.
pub async fn keep_items(
    connection: &mut PgConnection,
    payout: &str,
    items: &[(&Transaction, Fit, Option<PaymentId>)],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("update payouts set parts_read_at = $2 where payout = $1")
        .bind(payout)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    let all = || items.iter();
    sqlx::query(
        "insert into payout_items (payout, txn, source, kind, currency, amount_minor, fee_minor, verdict, payment_id)
         select $1, txn, source, kind, currency, amount_minor, fee_minor, verdict, payment_id
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::uuid[])
              as i (txn, source, kind, currency, amount_minor, fee_minor, verdict, payment_id)
         order by txn
         on conflict (payout, txn) do update set verdict = excluded.verdict, payment_id = excluded.payment_id",
    )
    .bind(payout)
    .bind(all().map(|(t, ..)| t.id.as_str()).collect::<Vec<_>>())
    .bind(all().map(|(t, ..)| t.source.as_deref()).collect::<Vec<_>>())
    .bind(all().map(|(t, ..)| t.kind.as_str()).collect::<Vec<_>>())
    .bind(all().map(|(t, ..)| t.currency.as_str()).collect::<Vec<_>>())
    .bind(all().map(|(t, ..)| t.amount).collect::<Vec<_>>())
    .bind(all().map(|(t, ..)| t.fee).collect::<Vec<_>>())
    .bind(all().map(|(_, fit, _)| fit.as_str()).collect::<Vec<_>>())
    .bind(all().map(|(.., id)| id.map(PaymentId::get)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
