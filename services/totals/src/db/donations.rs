//! `donations`: the public wall, half from pledges and half from payments.

use chrono::{DateTime, Utc};
use common::{
    events::{PledgeEvent, Visibility},
    ids::{CampaignId, PledgeId},
    money::Currency,
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// What a pledge shows in public.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Of the pledge's snapshot, from 1.
    pub(crate) version: i64,
    pub(crate) visibility: Visibility,
    pub(crate) name: Option<String>,
    pub(crate) message: Option<String>,
}

impl Shown {
    /// What the public may see of a pledge. The name of an anonymous donor is not kept, should it ever come.
    pub(crate) fn of(pledge: &PledgeEvent) -> Self {
        let named = pledge.visibility != Visibility::Anonymous;
        Self {
            version: pledge.version,
            visibility: pledge.visibility,
            name: pledge.public_name.clone().filter(|_| named),
            message: pledge.message.clone(),
        }
    }
}

/// What is new of a pledge: how it is shown, money that came or went, or both.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) pledge_id: PledgeId,
    pub(crate) campaign_id: CampaignId,
    pub(crate) currency: Currency,
    pub(crate) shown: Option<Shown>,
    pub(crate) net: i64,
    /// When the money came or went.
    pub(crate) given_at: Option<DateTime<Utc>>,
}

/// A gift on the wall.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Donation {
    pub(crate) pledge_id: Uuid,
    pub(crate) visibility: String,
    pub(crate) public_name: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) net: i64,
    pub(crate) currency: String,
    pub(crate) given_at: DateTime<Utc>,
}

/// Applies news, in id order and one for each pledge: adds money, and takes over what the pledge shows in public where
/// that is newer than what is known.
pub(crate) async fn apply(connection: &mut PgConnection, news: &[News]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into donations as known
             (pledge_id, campaign_id, currency, pledge_version, visibility, public_name, message, net, given_at)
         select pledge_id, campaign_id, currency, pledge_version, visibility, public_name, message, net, given_at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[],
                     $9::timestamptz[])
              as news (pledge_id, campaign_id, currency, pledge_version, visibility, public_name, message, net, given_at)
         order by pledge_id
         on conflict (pledge_id) do update set
             pledge_version = greatest(known.pledge_version, excluded.pledge_version),
             visibility = case when known.pledge_version < excluded.pledge_version
                          then excluded.visibility else known.visibility end,
             public_name = case when known.pledge_version < excluded.pledge_version
                           then excluded.public_name else known.public_name end,
             message = case when known.pledge_version < excluded.pledge_version
                       then excluded.message else known.message end,
             net = known.net + excluded.net,
             given_at = coalesce(known.given_at, excluded.given_at)
         where known.pledge_version < excluded.pledge_version or excluded.net <> 0",
    )
    .bind(news.iter().map(|one| one.pledge_id.get()).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.campaign_id.get()).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.currency.as_str()).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.shown.as_ref().map_or(0, |shown| shown.version)).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.shown.as_ref().map(|shown| shown.visibility.as_str())).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.shown.as_ref().and_then(|shown| shown.name.as_deref())).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.shown.as_ref().and_then(|shown| shown.message.as_deref())).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.net).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.given_at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest gifts of a campaign that are older than a place in the list.
pub(crate) async fn wall(
    pool: &PgPool,
    campaign: CampaignId,
    (given_at, pledge_id): (DateTime<Utc>, Uuid),
    limit: i64,
) -> Result<Vec<Donation>, sqlx::Error> {
    sqlx::query_as(
        "select pledge_id, visibility, public_name, message, net, currency, given_at from donations
         where campaign_id = $1 and pledge_version > 0 and given_at is not null and net > 0
           and (given_at, pledge_id) < ($2, $3)
         order by given_at desc, pledge_id desc limit $4",
    )
    .bind(campaign.get())
    .bind(given_at)
    .bind(pledge_id)
    .bind(limit)
    .fetch_all(pool)
    .await
}
