//! `campaign_donors`: who has money in a campaign.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

/// Adds to the numbers of gifts of (campaign, generation, donor), and gives by how many the donors of each (campaign,
/// generation) grew.
pub(crate) async fn add(
    connection: &mut PgConnection,
    gifts: &BTreeMap<(Uuid, i64, &str), i64>,
) -> Result<BTreeMap<(Uuid, i64), i64>, sqlx::Error> {
    let grown: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        "with change as materialized (
             select campaign_id, generation, donor_ref, gifts
             from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[])
                  as change (campaign_id, generation, donor_ref, gifts)
         ), known as (
             insert into campaign_donors as known (campaign_id, generation, donor_ref, gifts)
             select campaign_id, generation, donor_ref, gifts from change order by campaign_id, generation, donor_ref
             on conflict (campaign_id, generation, donor_ref) do update set gifts = known.gifts + excluded.gifts
             returning campaign_id, generation, donor_ref, gifts
         )
         select known.campaign_id, known.generation,
                coalesce(sum((known.gifts > 0)::int - (known.gifts - change.gifts > 0)::int), 0)::bigint
         from known join change using (campaign_id, generation, donor_ref)
         group by known.campaign_id, known.generation",
    )
    .bind(gifts.keys().map(|(campaign, _, _)| *campaign).collect::<Vec<_>>())
    .bind(gifts.keys().map(|(_, generation, _)| *generation).collect::<Vec<_>>())
    .bind(gifts.keys().map(|(_, _, donor)| *donor).collect::<Vec<_>>())
    .bind(gifts.values().copied().collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let by_place = |(campaign, generation, grown)| ((campaign, generation), grown);
    Ok(grown.into_iter().map(by_place).collect())
}

/// Deletes some of what a campaign's generation consists of, and says whether that was all.
pub(crate) async fn discard(
    connection: &mut PgConnection,
    campaign: Uuid,
    generation: i64,
) -> Result<bool, sqlx::Error> {
    let gone = sqlx::query(
        "delete from campaign_donors
         where (campaign_id, generation, donor_ref) in (
             select campaign_id, generation, donor_ref from campaign_donors
             where campaign_id = $1 and generation = $2 limit 1000)",
    )
    .bind(campaign)
    .bind(generation)
    .execute(connection)
    .await?;
    Ok(gone.rows_affected() == 0)
}
