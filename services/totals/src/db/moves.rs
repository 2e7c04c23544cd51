//! `totals_moves`: which snapshot of a payment moved which bucket by how much.

use chrono::{DateTime, Utc};
use common::ids::CampaignId;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::domain::Buckets;

/// A move that was made just now.
pub(crate) struct New<'a> {
    pub(crate) campaign_id: Uuid,
    pub(crate) generation: i64,
    pub(crate) payment_id: Uuid,
    pub(crate) version: i64,
    pub(crate) cause: &'static str,
    pub(crate) by: Buckets,
    pub(crate) trace_id: Option<&'a str>,
}

/// A move as it was written.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Explained {
    pub(crate) move_id: i64,
    pub(crate) payment_id: Uuid,
    pub(crate) version: i64,
    pub(crate) cause: String,
    #[sqlx(flatten)]
    pub(crate) by: Buckets,
    pub(crate) trace_id: Option<String>,
    pub(crate) at: DateTime<Utc>,
}

/// Writes moves, in their order.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    moves: &[New<'_>],
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if moves.is_empty() {
        return Ok(());
    }
    let bucket =
        |of: fn(&Buckets) -> i64| -> Vec<i64> { moves.iter().map(|one| of(&one.by)).collect() };
    sqlx::query(
        "insert into totals_moves
             (campaign_id, generation, payment_id, version, cause, pledged, authorized, captured, refunded, disputed,
              trace_id, at)
         select campaign_id, generation, payment_id, version, cause, pledged, authorized, captured, refunded, disputed,
                trace_id, $12::timestamptz
         from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::text[])
              as fresh (campaign_id, generation, payment_id, version, cause, pledged, authorized, captured, refunded,
                        disputed, trace_id)",
    )
    .bind(moves.iter().map(|one| one.campaign_id).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| one.generation).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| one.payment_id).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| one.version).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| one.cause).collect::<Vec<_>>())
    .bind(bucket(|by| by.pledged))
    .bind(bucket(|by| by.authorized))
    .bind(bucket(|by| by.captured))
    .bind(bucket(|by| by.refunded))
    .bind(bucket(|by| by.disputed))
    .bind(moves.iter().map(|one| one.trace_id).collect::<Vec<_>>())
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest moves of a campaign's own generation that came before a place in the list.
pub(crate) async fn before(
    pool: &PgPool,
    campaign: CampaignId,
    move_id: i64,
    limit: i64,
) -> Result<Vec<Explained>, sqlx::Error> {
    sqlx::query_as(
        "select move_id, payment_id, version, cause, pledged, authorized, captured, refunded, disputed, trace_id, at
         from totals_moves
         where campaign_id = $1
           and generation = (select generation from campaign_totals where campaign_id = $1)
           and move_id < $2
         order by move_id desc limit $3",
    )
    .bind(campaign.get())
    .bind(move_id)
    .bind(limit)
    .fetch_all(pool)
    .await
}
