//! Settlements in the books, for comparing them with the provider's account.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::Settled;

type Row = (String, Uuid, i64, i64, String);

fn settled((txn, payment_id, gross, fee, currency): Row) -> Settled {
    Settled {
        txn,
        payment_id: payment_id.into(),
        gross,
        fee,
        currency,
    }
}

/// The settlements by these balance transactions.
pub async fn by(executor: impl PgExecutor<'_>, txns: &[&str]) -> Result<Vec<Settled>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select s.psp_object, s.payment_id, p.captured_minor,
                coalesce((select sum(e.amount_minor) from ledger_entries e
                          where e.set_id = s.set_id and e.account = 'fees'), 0)::bigint, p.currency
         from ledger_sets s join payments p on p.payment_id = s.payment_id
         where s.effect = 'settled' and s.psp_object = any($1::text[])",
    )
    .bind(txns)
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(settled).collect())
}

/// The refunds and disputes behind these entries of the provider's, each given with the entry's balance transaction. A
/// refund that came back is there once the books know that it has, and an entry of a dispute once they hold it. What
/// the ledger should have of them and has not is not there.
pub async fn gone_back(
    executor: impl PgExecutor<'_>,
    entries: &[(&str, &str, bool)],
) -> Result<Vec<Settled>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select n.txn, r.payment_id, r.amount_minor, 0::bigint, r.currency
         from unnest($1::text[], $2::text[], $3::bool[]) as n (txn, source, came_back)
         join refunds r on r.psp_refund = n.source
         where (not n.came_back or r.status in ('FAILED', 'CANCELED'))
           and (r.status <> 'SUCCEEDED'
                or exists (select from ledger_sets s where s.payment_id = r.payment_id and s.effect = 'refunded'
                           and s.psp_object = r.psp_refund))
         union all
         select n.txn, d.payment_id, d.amount_minor, 0::bigint, d.currency
         from unnest($1::text[], $2::text[]) as n (txn, source)
         join disputes d on d.dispute_id = n.source
         where n.txn = any(d.transactions)
           and exists (select from ledger_sets s where s.payment_id = d.payment_id and s.psp_object = n.txn)",
    )
    .bind(entries.iter().map(|e| e.0).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.1).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.2).collect::<Vec<_>>())
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(settled).collect())
}

/// Settlements that were booked in this time and have not been found at the provider yet, each with what its payment took.
pub async fn unmatched(
    executor: impl PgExecutor<'_>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Settled>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select s.psp_object, s.payment_id, p.captured_minor, 0::bigint, p.currency
         from ledger_sets s join payments p on p.payment_id = s.payment_id
         where s.effect = 'settled' and s.at >= $1 and s.at < $2
           and not exists (select from settlement_matches m where m.txn = s.psp_object)
         order by s.at limit $3",
    )
    .bind(from)
    .bind(until)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(settled).collect())
}

/// Notes settlements that were found as they are; the run counts that found them first.
pub async fn matched(
    connection: &mut PgConnection,
    run: Uuid,
    txns: &[&str],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if txns.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into settlement_matches (txn, run_id, at)
         select txn, $2, $3 from unnest($1::text[]) as m (txn) order by txn on conflict do nothing",
    )
    .bind(txns)
    .bind(run)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// How many settlements this run was the first to find, in all its tries.
pub async fn matched_by(executor: impl PgExecutor<'_>, run: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from settlement_matches where run_id = $1")
        .bind(run)
        .fetch_one(executor)
        .await
}
