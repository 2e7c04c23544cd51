//! `campaigns`: what campaigns say of themselves.

use common::{
    events::CampaignState,
    ids::{CampaignId, UserId},
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Takes over snapshots, in id order and one for each campaign, that are newer than what is known.
pub(crate) async fn apply(
    connection: &mut PgConnection,
    campaigns: &[&CampaignState],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into campaigns as known (campaign_id, organiser_id, currency, goal, title, version)
         select campaign_id, organiser_id, currency, goal, title, version
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bigint[])
              as news (campaign_id, organiser_id, currency, goal, title, version)
         order by campaign_id
         on conflict (campaign_id) do update set
             organiser_id = excluded.organiser_id, currency = excluded.currency, goal = excluded.goal,
             title = excluded.title, version = excluded.version
         where known.version < excluded.version or known.organiser_id is null",
    )
    .bind(campaigns.iter().map(|one| one.campaign_id.get()).collect::<Vec<_>>())
    .bind(campaigns.iter().map(|one| one.organiser_id.get()).collect::<Vec<_>>())
    .bind(campaigns.iter().map(|one| one.goal.currency.as_str()).collect::<Vec<_>>())
    .bind(campaigns.iter().map(|one| one.goal.minor).collect::<Vec<_>>())
    .bind(campaigns.iter().map(|one| one.title.as_str()).collect::<Vec<_>>())
    .bind(campaigns.iter().map(|one| one.version).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Who runs a campaign, as far as it is known.
pub(crate) async fn organiser(
    pool: &PgPool,
    campaign: CampaignId,
) -> Result<Option<UserId>, sqlx::Error> {
    let known: Option<Option<Uuid>> =
        sqlx::query_scalar("select organiser_id from campaigns where campaign_id = $1")
            .bind(campaign.get())
            .fetch_optional(pool)
            .await?;
    Ok(known.flatten().map(Into::into))
}
