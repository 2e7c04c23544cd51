//! What happened to the money of a pledge, as its payments told it.

use chassis::db::{Db, Tx};
use chrono::{DateTime, Utc};
use common::ids::PledgeId;
use uuid::Uuid;

use crate::domain::timeline::Happening;

#[derive(sqlx::FromRow)]
struct Row {
    payment_id: Uuid,
    version: i64,
    attempt: i32,
    kind: String,
    held_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
    disputed_minor: i64,
    failure: Option<String>,
    trace_id: Option<String>,
    occurred_at: DateTime<Utc>,
}

impl TryFrom<Row> for Happening {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            payment_id: row.payment_id.into(),
            version: row.version,
            attempt: row.attempt,
            kind: super::pledges::parsed(&row.kind)?,
            held: row.held_minor,
            captured: row.captured_minor,
            refunded: row.refunded_minor,
            disputed: row.disputed_minor,
            failure: row.failure,
            trace_id: row.trace_id,
            at: row.occurred_at,
        })
    }
}

/// Notes what happened to pledges, each once: what is there already stays as it is.
pub async fn note(tx: &mut Tx, happened: &[(PledgeId, Happening)]) -> Result<(), sqlx::Error> {
    if happened.is_empty() {
        return Ok(());
    }
    let (ids, rows): (Vec<Uuid>, Vec<&Happening>) =
        happened.iter().map(|(id, row)| (id.get(), row)).unzip();
    // In key order, so that two replicas with overlapping batches wait for each other instead of deadlocking.
    sqlx::query(
        "insert into pledge_timeline (pledge_id, payment_id, version, attempt, kind, held_minor, captured_minor, refunded_minor,
                                      disputed_minor, failure, trace_id, occurred_at)
         select * from unnest(
             $1::uuid[], $2::uuid[], $3::bigint[], $4::integer[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
             $9::bigint[], $10::text[], $11::text[], $12::timestamptz[]
         ) as h (pledge_id, payment_id, version, attempt, kind, held_minor, captured_minor, refunded_minor,
                 disputed_minor, failure, trace_id, occurred_at)
         order by pledge_id, payment_id, version
         on conflict do nothing",
    )
    .bind(ids)
    .bind(rows.iter().map(|row| row.payment_id.get()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.version).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.attempt).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.held).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.captured).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.refunded).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.disputed).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.failure.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.trace_id.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.at).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// All that is known to have happened to a pledge, payment by payment, in the order of each payment's versions.
pub async fn of_pledge(db: &Db, id: PledgeId) -> Result<Vec<Happening>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select payment_id, version, attempt, kind, held_minor, captured_minor, refunded_minor, disputed_minor, failure, trace_id,
                occurred_at
         from pledge_timeline where pledge_id = $1 order by attempt, version",
    )
    .bind(id.get())
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(Happening::try_from).collect()
}
