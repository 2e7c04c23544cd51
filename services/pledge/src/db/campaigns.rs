//! The projection of campaigns.

use chassis::db::Db;
use chrono::{DateTime, Utc};
use common::{
    events::CampaignState,
    ids::{CampaignId, UserId},
    money::Currency,
};
use uuid::Uuid;

use crate::domain::Campaign;

#[derive(sqlx::FromRow)]
struct Row {
    status: String,
    currency: String,
    minimum_minor: i64,
    ends_at: Option<DateTime<Utc>>,
    capture: String,
}

/// Finds a campaign.
pub async fn find(db: &Db, id: Uuid) -> Result<Option<Campaign>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as("select status, currency, minimum_minor, ends_at, capture from campaigns where campaign_id = $1")
        .bind(id)
        .fetch_optional(db.pool())
        .await?;
    row.map(Campaign::try_from).transpose()
}

/// Who runs a campaign, as far as it is known.
pub async fn organiser(db: &Db, id: CampaignId) -> Result<Option<UserId>, sqlx::Error> {
    let known: Option<Option<Uuid>> =
        sqlx::query_scalar("select organiser_id from campaigns where campaign_id = $1")
            .bind(id.get())
            .fetch_optional(db.pool())
            .await?;
    Ok(known.flatten().map(Into::into))
}

impl TryFrom<Row> for Campaign {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            status: super::pledges::parsed(&row.status)?,
            currency: Currency::parse(&row.currency)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            minimum: row.minimum_minor,
            ends_at: row.ends_at,
            capture: super::pledges::parsed(&row.capture)?,
        })
    }
}

/// Keeps the newest snapshot of each campaign; `states` holds each campaign at most once.
pub async fn project(db: &Db, states: &[CampaignState]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into campaigns (campaign_id, organiser_id, status, currency, minimum_minor, ends_at, capture, version)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::text[],
                              $8::bigint[])
                as s (campaign_id, organiser_id, status, currency, minimum_minor, ends_at, capture, version)
         order by campaign_id
         on conflict (campaign_id) do update
         set organiser_id = excluded.organiser_id, status = excluded.status, currency = excluded.currency,
             minimum_minor = excluded.minimum_minor, ends_at = excluded.ends_at, capture = excluded.capture,
             version = excluded.version
         where campaigns.version < excluded.version
            or campaigns.version = excluded.version and campaigns.organiser_id is null",
    )
    .bind(states.iter().map(|state| state.campaign_id.get()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.organiser_id.get()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.status.as_str()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.goal.currency.as_str()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.minimum).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.ends_at).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.capture.as_str()).collect::<Vec<_>>())
    .bind(states.iter().map(|state| state.version).collect::<Vec<_>>())
    .execute(db.pool())
    .await?;
    Ok(())
}
