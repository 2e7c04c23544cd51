//! `donations`: how pledges want to be shown; with the money of their payments they are the public wall.

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

/// What is new of a pledge.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) pledge_id: PledgeId,
    pub(crate) campaign_id: CampaignId,
    pub(crate) currency: Currency,
    pub(crate) shown: Shown,
}

/// A gift on the wall.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Donation {
    pub(crate) payment_id: Uuid,
    pub(crate) visibility: String,
    pub(crate) public_name: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) net: i64,
    pub(crate) currency: String,
    pub(crate) given_at: DateTime<Utc>,
}

/// Takes over how pledges want to be shown, in id order and one for each pledge, where that is newer than what is known.
pub(crate) async fn apply(connection: &mut PgConnection, news: &[News]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into donations as known
             (pledge_id, campaign_id, currency, pledge_version, visibility, public_name, message)
         select pledge_id, campaign_id, currency, pledge_version, visibility, public_name, message
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
              as news (pledge_id, campaign_id, currency, pledge_version, visibility, public_name, message)
         order by pledge_id
         on conflict (pledge_id) do update set
             pledge_version = excluded.pledge_version, visibility = excluded.visibility,
             public_name = excluded.public_name, message = excluded.message
         where known.pledge_version < excluded.pledge_version",
    )
    .bind(news.iter().map(|one| one.pledge_id.get()).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.campaign_id.get()).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.currency.as_str()).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.shown.version).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.shown.visibility.as_str()).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.shown.name.as_deref()).collect::<Vec<_>>())
    .bind(news.iter().map(|one| one.shown.message.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest gifts of a campaign that are older than a place in the list: money that stands in its totals, with what
/// its pledge shows.
pub(crate) async fn wall(
    pool: &PgPool,
    campaign: CampaignId,
    (given_at, payment_id): (DateTime<Utc>, Uuid),
    limit: i64,
) -> Result<Vec<Donation>, sqlx::Error> {
    sqlx::query_as(
        "select gift.payment_id, pledge.visibility, pledge.public_name, pledge.message,
                gift.captured - gift.refunded - gift.disputed as net, pledge.currency, gift.given_at
         from payment_watermarks as gift join donations as pledge on pledge.pledge_id = gift.pledge_id
         where gift.campaign_id = $1
           and gift.generation = (select generation from campaign_totals where campaign_id = $1)
           and (gift.given_at, gift.payment_id) < ($2, $3) and gift.captured - gift.refunded - gift.disputed > 0
         order by gift.given_at desc, gift.payment_id desc limit $4",
    )
    .bind(campaign.get())
    .bind(given_at)
    .bind(payment_id)
    .bind(limit)
    .fetch_all(pool)
    .await
}
