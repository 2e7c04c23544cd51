//! The projection of campaigns.

use chrono::{DateTime, Utc};
use common::{
    events::CampaignState,
    ids::{CampaignId, UserId},
};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::Campaign;

/// Finds a campaign.
pub async fn find(
    executor: impl PgExecutor<'_>,
    id: CampaignId,
) -> Result<Option<Campaign>, sqlx::Error> {
    let row: Option<(Uuid, String, Option<DateTime<Utc>>, i64)> = sqlx::query_as(
        "select organiser_id, status, ends_at, version from campaigns where campaign_id = $1",
    )
    .bind(id.get())
    .fetch_optional(executor)
    .await?;
    row.map(|(organiser, status, ends_at, version)| {
        Ok(Campaign {
            organiser_id: UserId::from(organiser),
            status: status
                .parse()
                .map_err(|_| sqlx::Error::Decode("an unknown status".into()))?,
            ends_at,
            version,
        })
    })
    .transpose()
}

/// Keeps the newest snapshot of each campaign; `states` holds each campaign at most once.
pub async fn project(
    executor: impl PgExecutor<'_>,
    states: &[CampaignState],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into campaigns (campaign_id, organiser_id, status, ends_at, version)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[])
                as s (campaign_id, organiser_id, status, ends_at, version)
         order by campaign_id
         on conflict (campaign_id) do update
         set organiser_id = excluded.organiser_id, status = excluded.status, ends_at = excluded.ends_at,
             version = excluded.version
         where campaigns.version < excluded.version",
    )
    .bind(states.iter().map(|state| state.campaign_id.get()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.organiser_id.get()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.status.as_str()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.ends_at).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.version).collect::<Vec<_>>())
    .execute(executor)
    .await?;
    Ok(())
}
