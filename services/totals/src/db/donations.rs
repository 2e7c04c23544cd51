//! `donations`: the public wall, half from pledges and half from payments.

use chrono::{DateTime, Utc};
use common::{
    events::{PledgeEvent, Visibility},
    ids::{CampaignId, PledgeId},
    money::Currency,
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Money that came to a pledge, or went.
#[derive(Clone, Debug)]
pub(crate) struct Gift {
    pub(crate) campaign_id: CampaignId,
    pub(crate) currency: Currency,
    pub(crate) net: i64,
    pub(crate) given_at: DateTime<Utc>,
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

/// Takes over what pledges, given in id order and once each, show in public, where the snapshot is newer than the one
/// known. The name of an anonymous donor is not kept, should it ever come.
pub(crate) async fn promise(
    connection: &mut PgConnection,
    pledges: &[&PledgeEvent],
) -> Result<(), sqlx::Error> {
    let name = |pledge: &PledgeEvent| {
        pledge
            .public_name
            .clone()
            .filter(|_| pledge.visibility != Visibility::Anonymous)
    };
    sqlx::query(
        "insert into donations as known
             (pledge_id, campaign_id, currency, pledge_version, visibility, public_name, message)
         select pledge_id, campaign_id, currency, pledge_version, visibility, public_name, message
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
              as pledge (pledge_id, campaign_id, currency, pledge_version, visibility, public_name, message)
         order by pledge_id
         on conflict (pledge_id) do update set
             pledge_version = excluded.pledge_version,
             visibility = excluded.visibility,
             public_name = excluded.public_name,
             message = excluded.message
         where known.pledge_version < excluded.pledge_version",
    )
    .bind(pledges.iter().map(|pledge| pledge.pledge_id.get()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.campaign_id.get()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.amount.currency.as_str()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.version).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.visibility.as_str()).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| name(pledge)).collect::<Vec<_>>())
    .bind(pledges.iter().map(|pledge| pledge.message.clone()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds money to pledges, given in id order and once each.
pub(crate) async fn give(
    connection: &mut PgConnection,
    gifts: &[(PledgeId, Gift)],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into donations as known (pledge_id, campaign_id, currency, net, given_at)
         select pledge_id, campaign_id, currency, net, given_at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::timestamptz[])
              as gift (pledge_id, campaign_id, currency, net, given_at)
         order by pledge_id
         on conflict (pledge_id) do update set
             net = known.net + excluded.net,
             given_at = coalesce(known.given_at, excluded.given_at)",
    )
    .bind(
        gifts
            .iter()
            .map(|(pledge, _)| pledge.get())
            .collect::<Vec<_>>(),
    )
    .bind(
        gifts
            .iter()
            .map(|(_, gift)| gift.campaign_id.get())
            .collect::<Vec<_>>(),
    )
    .bind(
        gifts
            .iter()
            .map(|(_, gift)| gift.currency.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(gifts.iter().map(|(_, gift)| gift.net).collect::<Vec<_>>())
    .bind(
        gifts
            .iter()
            .map(|(_, gift)| gift.given_at)
            .collect::<Vec<_>>(),
    )
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
