//! `campaign_donors`: who has money in a campaign.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

/// Adds to the numbers of gifts of (campaign, donor), and gives by how many the donors of each campaign grew.
pub(crate) async fn add(
    connection: &mut PgConnection,
    gifts: &BTreeMap<(Uuid, &str), i64>,
) -> Result<BTreeMap<Uuid, i64>, sqlx::Error> {
    let grown: Vec<(Uuid, i64)> = sqlx::query_as(
        "with change as materialized (
             select campaign_id, donor_ref, gifts
             from unnest($1::uuid[], $2::text[], $3::bigint[]) as change (campaign_id, donor_ref, gifts)
         ), known as (
             insert into campaign_donors as known (campaign_id, donor_ref, gifts)
             select campaign_id, donor_ref, gifts from change order by campaign_id, donor_ref
             on conflict (campaign_id, donor_ref) do update set gifts = known.gifts + excluded.gifts
             returning campaign_id, donor_ref, gifts
         )
         select known.campaign_id,
                coalesce(sum((known.gifts > 0)::int - (known.gifts - change.gifts > 0)::int), 0)::bigint
         from known join change using (campaign_id, donor_ref)
         group by known.campaign_id",
    )
    .bind(gifts.keys().map(|(campaign, _)| *campaign).collect::<Vec<_>>())
    .bind(gifts.keys().map(|(_, donor)| *donor).collect::<Vec<_>>())
    .bind(gifts.values().copied().collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(grown.into_iter().collect())
}
