//! `shadow_totals`: the rows of a generation that is being built, and afterwards what it has made superfluous.

use sqlx::PgConnection;
use uuid::Uuid;

use super::totals::Change;
use crate::domain::Buckets;

/// Gives campaigns their places in a generation, a page at a time in id order: those that have totals or have said
/// something of themselves, which then counts for the currency. Gives the last of the page, nothing when there was none.
pub(crate) async fn seed(
    connection: &mut PgConnection,
    generation: i64,
    after: Uuid,
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "with known as materialized (
             (select campaign_id, currency, true as said from campaigns where campaign_id > $2
              order by campaign_id limit 1000)
             union all
             (select campaign_id, currency, false from campaign_totals where campaign_id > $2
              order by campaign_id limit 1000)
         ), page as materialized (
             select distinct on (campaign_id) campaign_id, currency from known
             order by campaign_id, said desc limit 1000
         ), seeded as (
             insert into shadow_totals (generation, campaign_id, currency)
             select $1, campaign_id, currency from page order by campaign_id
             on conflict (generation, campaign_id) do nothing
         )
         select campaign_id from page order by campaign_id desc limit 1",
    )
    .bind(generation)
    .bind(after)
    .fetch_optional(connection)
    .await
}

/// Gives one campaign its place in a generation, where anything is known of it.
pub(crate) async fn seed_one(
    connection: &mut PgConnection,
    generation: i64,
    campaign: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into shadow_totals (generation, campaign_id, currency)
         select $1::bigint, campaign_id, currency
         from (select campaign_id, currency, true as said from campaigns where campaign_id = $2
               union all
               select campaign_id, currency, false from campaign_totals where campaign_id = $2) as known
         order by said desc limit 1
         on conflict (generation, campaign_id) do nothing",
    )
    .bind(generation)
    .bind(campaign)
    .execute(connection)
    .await?;
    Ok(())
}

/// Applies changes to a generation, in id order and one for each campaign, and gives how many it took: money of another
/// currency than the campaign's is left alone, also where it is the first.
pub(crate) async fn apply(
    connection: &mut PgConnection,
    generation: i64,
    changes: &[Change],
) -> Result<u64, sqlx::Error> {
    let bucket = |of: fn(&Buckets) -> i64| -> Vec<i64> {
        changes.iter().map(|change| of(&change.buckets)).collect()
    };
    let applied = sqlx::query(
        "insert into shadow_totals as known
             (generation, campaign_id, currency, pledged, authorized, captured, refunded, disputed, donors)
         select $1, campaign_id, currency, pledged, authorized, captured, refunded, disputed, donors
         from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                     $9::bigint[])
              as change (campaign_id, currency, pledged, authorized, captured, refunded, disputed, donors)
         order by campaign_id
         on conflict (generation, campaign_id) do update set
             currency = excluded.currency,
             pledged = known.pledged + excluded.pledged,
             authorized = known.authorized + excluded.authorized,
             captured = known.captured + excluded.captured,
             refunded = known.refunded + excluded.refunded,
             disputed = known.disputed + excluded.disputed,
             donors = known.donors + excluded.donors
         where known.currency = excluded.currency
            or ((known.pledged, known.authorized, known.captured, known.refunded, known.disputed) = (0, 0, 0, 0, 0)
                and not exists (select from campaigns said
                                where said.campaign_id = known.campaign_id and said.currency <> excluded.currency))",
    )
    .bind(generation)
    .bind(changes.iter().map(|change| change.campaign_id.get()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.currency.as_str()).collect::<Vec<_>>())
    .bind(bucket(|buckets| buckets.pledged))
    .bind(bucket(|buckets| buckets.authorized))
    .bind(bucket(|buckets| buckets.captured))
    .bind(bucket(|buckets| buckets.refunded))
    .bind(bucket(|buckets| buckets.disputed))
    .bind(changes.iter().map(|change| change.donors).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(applied.rows_affected())
}

/// Notes which generations a new one takes the place of.
pub(crate) async fn retire(
    connection: &mut PgConnection,
    generation: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update shadow_totals as fresh
         set retires = coalesce(
             (select generation from campaign_totals where campaign_id = fresh.campaign_id), 0)
         where fresh.generation = $1",
    )
    .bind(generation)
    .execute(connection)
    .await?;
    Ok(())
}

/// Some campaign with rows of a generation that has gone: the generation that took its place, the campaign, and the one
/// that has gone.
pub(crate) async fn superfluous(
    connection: &mut PgConnection,
) -> Result<Option<(i64, Uuid, i64)>, sqlx::Error> {
    sqlx::query_as(
        "select generation, campaign_id, retires from shadow_totals where retires is not null limit 1",
    )
    .fetch_optional(connection)
    .await
}

/// Forgets a place whose superfluous rows are gone.
pub(crate) async fn forget(
    connection: &mut PgConnection,
    generation: i64,
    campaign: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from shadow_totals where generation = $1 and campaign_id = $2")
        .bind(generation)
        .bind(campaign)
        .execute(connection)
        .await?;
    Ok(())
}
