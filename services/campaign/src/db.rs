//! Queries over `campaigns`, and the only writer of it.

use chassis::db::Tx;
use chrono::{DateTime, Utc};
use common::{
    events::{CampaignState, CampaignStatus},
    ids::{CampaignId, UserId},
    money::{Currency, Money},
};
use sqlx::{FromRow, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::domain::Campaign;

/// Which campaigns a list holds.
pub struct Filter {
    /// Of this status.
    pub status: CampaignStatus,
    /// Of this organiser, or of all.
    pub organiser: Option<UserId>,
    /// Begun before this one.
    pub before: Option<CampaignId>,
}

/// The campaign, whatever its status.
pub async fn find(pool: &PgPool, id: CampaignId) -> Result<Option<Campaign>, sqlx::Error> {
    sqlx::query_as(
        "select campaign_id, organiser_id, title, story, category, goal_minor, currency, minimum_minor, capture,
                ends_at, timezone, status, rejection_reason, stop_reason, version, created_at, updated_at
         from campaigns
         where campaign_id = $1",
    )
    .bind(id.get())
    .fetch_optional(pool)
    .await
}

/// At most `rows` campaigns, newest first.
pub async fn list(pool: &PgPool, filter: &Filter, rows: i64) -> Result<Vec<Campaign>, sqlx::Error> {
    sqlx::query_as(
        "select campaign_id, organiser_id, title, story, category, goal_minor, currency, minimum_minor, capture,
                ends_at, timezone, status, rejection_reason, stop_reason, version, created_at, updated_at
         from campaigns
         where status = $1
           and ($2::uuid is null or organiser_id = $2)
           and ($3::uuid is null or campaign_id < $3)
         order by campaign_id desc
         limit $4",
    )
    .bind(filter.status.as_str())
    .bind(filter.organiser.map(UserId::get))
    .bind(filter.before.map(CampaignId::get))
    .bind(rows)
    .fetch_all(pool)
    .await
}

/// Stores a new campaign.
pub async fn insert(tx: &mut Tx, campaign: &Campaign) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into campaigns (campaign_id, organiser_id, title, story, category, goal_minor, currency,
                                minimum_minor, capture, ends_at, timezone, status, version, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(campaign.id.get())
    .bind(campaign.organiser_id.get())
    .bind(&campaign.title)
    .bind(&campaign.story)
    .bind(&campaign.category)
    .bind(campaign.goal.minor)
    .bind(campaign.goal.currency.as_str())
    .bind(campaign.minimum)
    .bind(campaign.capture.as_str())
    .bind(campaign.ends_at)
    .bind(&campaign.timezone)
    .bind(campaign.status.as_str())
    .bind(campaign.version)
    .bind(campaign.created_at)
    .bind(campaign.updated_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Stores where a campaign moved to, if nobody moved it meanwhile; false if somebody did.
pub async fn advance(tx: &mut Tx, moved: &Campaign) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query(
        "update campaigns
         set status = $2, rejection_reason = $3, version = $4, updated_at = $5, stop_reason = $6
         where campaign_id = $1 and version = $4 - 1",
    )
    .bind(moved.id.get())
    .bind(moved.status.as_str())
    .bind(&moved.rejection_reason)
    .bind(moved.version)
    .bind(moved.updated_at)
    .bind(&moved.stop_reason)
    .execute(&mut **tx)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Writes campaigns as they were told last: those that are not there, and those that are older here. Story, category and
/// zone are not told: a campaign that is not there gets its title for a story. Nor is why it was stopped, and a reason that
/// was for the organiser alone must not be shown for another stop. Gives how many were written.
pub async fn put_back(pool: &PgPool, told: &[CampaignState]) -> Result<u64, sqlx::Error> {
    let written = sqlx::query(
        "insert into campaigns (campaign_id, organiser_id, title, story, category, goal_minor, currency,
                                minimum_minor, capture, ends_at, timezone, status, version, created_at, updated_at)
         select campaign_id, organiser_id, title, title, 'other', goal_minor, currency,
                minimum_minor, capture, ends_at, 'UTC', status, version, at, at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::text[],
                     $8::timestamptz[], $9::text[], $10::bigint[], $11::timestamptz[])
              as told (campaign_id, organiser_id, title, goal_minor, currency, minimum_minor, capture, ends_at, status,
                       version, at)
         order by campaign_id
         on conflict (campaign_id) do update
         set status = excluded.status, version = excluded.version, updated_at = excluded.updated_at, stop_reason = null
         where campaigns.version < excluded.version",
    )
    .bind(told.iter().map(|told| told.campaign_id.get()).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.organiser_id.get()).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.title.as_str()).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.goal.minor).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.goal.currency.as_str()).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.minimum).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.capture.as_str()).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.ends_at).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.status.as_str()).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.version).collect::<Vec<_>>())
    .bind(told.iter().map(|told| told.occurred_at).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(written.rows_affected())
}

impl FromRow<'_, PgRow> for Campaign {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let currency: Currency = name(row, "currency")?;
        Ok(Self {
            id: row.try_get::<Uuid, _>("campaign_id")?.into(),
            organiser_id: row.try_get::<Uuid, _>("organiser_id")?.into(),
            title: row.try_get("title")?,
            story: row.try_get("story")?,
            category: row.try_get("category")?,
            goal: Money::new(row.try_get("goal_minor")?, currency),
            minimum: row.try_get("minimum_minor")?,
            capture: name(row, "capture")?,
            ends_at: row.try_get::<Option<DateTime<Utc>>, _>("ends_at")?,
            timezone: row.try_get("timezone")?,
            status: name(row, "status")?,
            rejection_reason: row.try_get("rejection_reason")?,
            stop_reason: row.try_get("stop_reason")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// A text column that holds one of a closed set of names.
fn name<T>(row: &PgRow, column: &str) -> Result<T, sqlx::Error>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: &str = row.try_get(column)?;
    text.parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
