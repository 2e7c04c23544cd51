//! Campaigns, as far as a mail names them.

use common::events::CampaignState;
use sqlx::PgPool;

/// Keeps campaigns that are newer than what is known. They must be in id order and each come once.
pub async fn upsert(pool: &PgPool, campaigns: &[CampaignState]) -> Result<(), sqlx::Error> {
    if campaigns.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into campaigns (campaign_id, title, version, updated_at)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::timestamptz[])
         on conflict (campaign_id) do update
         set title = excluded.title, version = excluded.version, updated_at = excluded.updated_at
         where campaigns.version < excluded.version",
    )
    .bind(
        campaigns
            .iter()
            .map(|campaign| campaign.campaign_id.get())
            .collect::<Vec<_>>(),
    )
    .bind(
        campaigns
            .iter()
            .map(|campaign| campaign.title.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(
        campaigns
            .iter()
            .map(|campaign| campaign.version)
            .collect::<Vec<_>>(),
    )
    .bind(
        campaigns
            .iter()
            .map(|campaign| campaign.occurred_at)
            .collect::<Vec<_>>(),
    )
    .execute(pool)
    .await?;
    Ok(())
}
