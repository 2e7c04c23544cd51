//! What pledges show of their payments.

use std::collections::BTreeMap;

use chassis::db::Tx;
use chrono::{DateTime, Utc};
use common::ids::PledgeId;
use uuid::Uuid;

use super::{Row, parsed};
use crate::domain::{
    Pledge,
    attempts::{Attempt, Attempts},
};

#[derive(sqlx::FromRow)]
struct Known {
    pledge_id: Uuid,
    attempt: i32,
    version: i64,
    status: String,
    refunded_minor: i64,
}

impl Known {
    fn attempt(&self) -> Result<Attempt, sqlx::Error> {
        Ok(Attempt {
            number: self.attempt,
            version: self.version,
            status: parsed(&self.status)?,
            refunded: self.refunded_minor,
        })
    }
}

/// Shows newer payment snapshots, and gives the pledges whose status changed, as they stand now. `told` holds each
/// pledge at most once, with what is told of its payments, in id order, so that two replicas wait for each other
/// instead of deadlocking.
pub async fn show(
    tx: &mut Tx,
    told: &BTreeMap<PledgeId, Vec<Attempt>>,
    now: DateTime<Utc>,
) -> Result<Vec<Pledge>, sqlx::Error> {
    let ids: Vec<Uuid> = told.keys().map(|id| id.get()).collect();
    // What comes back is the rows as they are once they are locked, with what a replica committed while we waited.
    let standing: Vec<Known> = sqlx::query_as(
        "select pledge_id, payment_attempt as attempt, payment_version as version, status, refunded_minor
         from pledges where pledge_id = any($1) order by pledge_id for update",
    )
    .bind(&ids)
    .fetch_all(&mut **tx)
    .await?;
    let mut others = others(tx, &ids).await?;
    let mut shown: Vec<(Uuid, Attempt, bool)> = Vec::with_capacity(standing.len());
    let mut hidden: Vec<(Uuid, Attempt)> = Vec::new();
    for before in &standing {
        let id = before.pledge_id;
        let mut attempts = others.remove(&id).unwrap_or_default();
        let before = before.attempt()?;
        // A pledge is born with attempt 0, which is none.
        if before.number > 0 {
            attempts.hear(before.clone());
        }
        for attempt in told.get(&id.into()).into_iter().flatten() {
            attempts.hear(attempt.clone());
        }
        if let Some(now) = attempts.shown().filter(|now| **now != before) {
            shown.push((id, now.clone(), now.status != before.status));
        }
        hidden.extend(attempts.others().map(|other| (id, other.clone())));
    }
    hide(tx, &hidden).await?;
    let attempts = || shown.iter().map(|(_, attempt, _)| attempt);
    let rows: Vec<Row> = sqlx::query_as(
        "with written as (
             update pledges p
             set status = n.status, payment_attempt = n.attempt, payment_version = n.version, refunded_minor = n.refunded,
                 version = p.version + n.changed::integer, updated_at = case when n.changed then $7 else p.updated_at end
             from unnest($1::uuid[], $2::integer[], $3::bigint[], $4::text[], $5::bigint[], $6::boolean[])
                  as n (pledge_id, attempt, version, status, refunded, changed)
             where p.pledge_id = n.pledge_id
             returning p.*, n.changed
         )
         select pledge_id, campaign_id, donor_id, donor_ref, contact_id, amount_minor, tip_minor, covered_fee_minor, refunded_minor,
                currency, capture, visibility, public_name, message, status, cancel_requested_at, expires_at, created_at, version
         from written where changed order by pledge_id",
    )
    .bind(shown.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| attempt.number).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| attempt.version).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| attempt.status.as_str()).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| attempt.refunded).collect::<Vec<_>>())
    .bind(shown.iter().map(|(.., changed)| *changed).collect::<Vec<_>>())
    .bind(now)
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(Pledge::try_from).collect()
}

/// The payments that these pledges do not show; most pledges have none. Asked after their locks are held, for a replica may
/// have kept one while we waited.
async fn others(tx: &mut Tx, ids: &[Uuid]) -> Result<BTreeMap<Uuid, Attempts>, sqlx::Error> {
    let rows: Vec<Known> = sqlx::query_as(
        "select pledge_id, attempt, version, status, refunded_minor from other_attempts where pledge_id = any($1)",
    )
    .bind(ids)
    .fetch_all(&mut **tx)
    .await?;
    let mut others: BTreeMap<Uuid, Attempts> = BTreeMap::new();
    for row in rows {
        others
            .entry(row.pledge_id)
            .or_default()
            .hear(row.attempt()?);
    }
    Ok(others)
}

/// Keeps payments that their pledges do not show. The caller holds the locks of these pledges.
async fn hide(tx: &mut Tx, hidden: &[(Uuid, Attempt)]) -> Result<(), sqlx::Error> {
    if hidden.is_empty() {
        return Ok(());
    }
    let attempts = || hidden.iter().map(|(_, attempt)| attempt);
    sqlx::query(
        "insert into other_attempts (pledge_id, attempt, version, status, refunded_minor)
         select * from unnest($1::uuid[], $2::integer[], $3::bigint[], $4::text[], $5::bigint[])
         on conflict (pledge_id, attempt) do update
         set version = excluded.version, status = excluded.status, refunded_minor = excluded.refunded_minor
         where other_attempts.version < excluded.version",
    )
    .bind(hidden.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| attempt.number).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| attempt.version).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| attempt.status.as_str()).collect::<Vec<_>>())
    .bind(attempts().map(|attempt| attempt.refunded).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
