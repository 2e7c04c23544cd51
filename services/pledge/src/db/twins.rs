//! Gifts that look like another one of the same donor.

use std::collections::HashMap;

use chassis::db::Db;
use chrono::{DateTime, Utc};
use common::ids::{CampaignId, PledgeId};
use sqlx::PgConnection;
use uuid::Uuid;

/// Which earlier gift is looked for.
pub struct Sought {
    /// The gift itself, which is no twin of its own.
    pub own: Uuid,
    /// Who gives: the account.
    pub account: Option<Uuid>,
    /// Who gives: the first pledge of the guest, by a token that came with the gift.
    pub after: Option<Uuid>,
    /// What for.
    pub campaign: Uuid,
    /// How much.
    pub amount_minor: i64,
    /// How long ago at most.
    pub since: DateTime<Utc>,
}

/// The first pledge of the guest who made this one: whichever token a guest shows, it is the same guest.
pub async fn first_of(db: &Db, pledge: PledgeId) -> Result<PledgeId, sqlx::Error> {
    let first: Option<Uuid> = sqlx::query_scalar(
        "select coalesce(given_after, pledge_id) from pledges where pledge_id = $1",
    )
    .bind(pledge.get())
    .fetch_optional(db.pool())
    .await?;
    Ok(first.map_or(pledge, Into::into))
}

/// Locks donor, campaign and amount of each gift until the transaction ends, in one order for everybody.
pub async fn lock<'a>(
    connection: &mut PgConnection,
    likenesses: impl Iterator<Item = &'a (Uuid, CampaignId, i64)>,
) -> Result<(), sqlx::Error> {
    let names: Vec<String> = likenesses
        .map(|(donor, campaign, amount)| format!("{donor} {campaign} {amount}"))
        .collect();
    sqlx::query(
        "select pg_advisory_xact_lock(key)
         from (select distinct hashtextextended(name, 0) as key from unnest($1::text[]) as name order by key) as keys",
    )
    .bind(names)
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest earlier gift that each looks like, by its place in the list. One that came to nothing is none.
pub async fn find(
    connection: &mut PgConnection,
    sought: &[Sought],
) -> Result<HashMap<usize, PledgeId>, sqlx::Error> {
    let rows: Vec<(i64, Uuid)> = sqlx::query_as(
        "select s.n, twin.pledge_id
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::timestamptz[])
              with ordinality as s (own, account, after, campaign, amount_minor, since, n)
         cross join lateral (
             select pledge_id, created_at from pledges p
             where p.donor_id = s.account and p.campaign_id = s.campaign and p.amount_minor = s.amount_minor
               and p.created_at > s.since and p.status not in ('FAILED', 'EXPIRED', 'CANCELLED') and p.pledge_id <> s.own
             union all
             select pledge_id, created_at from pledges p
             where p.given_after = s.after and p.campaign_id = s.campaign and p.amount_minor = s.amount_minor
               and p.created_at > s.since and p.status not in ('FAILED', 'EXPIRED', 'CANCELLED') and p.pledge_id <> s.own
             union all
             select pledge_id, created_at from pledges p
             where p.pledge_id = s.after and p.campaign_id = s.campaign and p.amount_minor = s.amount_minor
               and p.created_at > s.since and p.status not in ('FAILED', 'EXPIRED', 'CANCELLED')
             order by created_at desc, pledge_id desc limit 1
         ) as twin",
    )
    .bind(sought.iter().map(|gift| gift.own).collect::<Vec<_>>())
    .bind(sought.iter().map(|gift| gift.account).collect::<Vec<_>>())
    .bind(sought.iter().map(|gift| gift.after).collect::<Vec<_>>())
    .bind(sought.iter().map(|gift| gift.campaign).collect::<Vec<_>>())
    .bind(sought.iter().map(|gift| gift.amount_minor).collect::<Vec<_>>())
    .bind(sought.iter().map(|gift| gift.since).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(n, id)| Some((usize::try_from(n - 1).ok()?, id.into())))
        .collect())
}
