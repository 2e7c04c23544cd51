//! `campaign_totals`: the row that a read takes as it stands.

use chrono::{DateTime, Utc};
use common::{events::CampaignState, ids::CampaignId, money::Currency};
use sqlx::{PgConnection, PgPool, postgres::PgRow};
use uuid::Uuid;

use crate::domain::{Buckets, Totals};

/// What is added to a campaign.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) campaign_id: CampaignId,
    pub(crate) currency: Currency,
    pub(crate) buckets: Buckets,
    pub(crate) donors: i64,
}

impl sqlx::FromRow<'_, PgRow> for Totals {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row;
        let currency: &str = row.try_get("currency")?;
        Ok(Self {
            campaign_id: row.try_get::<Uuid, _>("campaign_id")?.into(),
            currency: Currency::parse(currency)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            goal: row.try_get("goal")?,
            buckets: Buckets::from_row(row)?,
            donors: row.try_get("donors")?,
            version: row.try_get("version")?,
            as_of: row.try_get("as_of")?,
        })
    }
}

/// The totals of a campaign.
pub(crate) async fn get(
    pool: &PgPool,
    campaign: CampaignId,
) -> Result<Option<Totals>, sqlx::Error> {
    sqlx::query_as(
        "select campaign_id, currency, goal, pledged, authorized, captured, refunded, disputed, donors, version, as_of
         from campaign_totals where campaign_id = $1",
    )
    .bind(campaign.get())
    .fetch_optional(pool)
    .await
}

/// Adds to campaigns, given in id order and once each; unknown ones come into being. A campaign of another currency
/// is left alone and not returned.
pub(crate) async fn add(
    connection: &mut PgConnection,
    changes: &[Change],
    at: DateTime<Utc>,
) -> Result<Vec<Totals>, sqlx::Error> {
    let column = |of: fn(&Buckets) -> i64| -> Vec<i64> {
        changes.iter().map(|change| of(&change.buckets)).collect()
    };
    sqlx::query_as(
        "insert into campaign_totals as known
             (campaign_id, currency, pledged, authorized, captured, refunded, disputed, donors, version, as_of)
         select campaign_id, currency, pledged, authorized, captured, refunded, disputed, donors, 1, $9::timestamptz
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[])
              as change (campaign_id, currency, pledged, authorized, captured, refunded, disputed, donors)
         order by campaign_id
         on conflict (campaign_id) do update set
             pledged = known.pledged + excluded.pledged,
             authorized = known.authorized + excluded.authorized,
             captured = known.captured + excluded.captured,
             refunded = known.refunded + excluded.refunded,
             disputed = known.disputed + excluded.disputed,
             donors = known.donors + excluded.donors,
             version = known.version + 1,
             as_of = greatest(known.as_of, excluded.as_of)
         where known.currency = excluded.currency
         returning campaign_id, currency, goal, pledged, authorized, captured, refunded, disputed, donors, version, as_of",
    )
    .bind(changes.iter().map(|change| change.campaign_id.get()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.currency.as_str()).collect::<Vec<_>>())
    .bind(column(|buckets| buckets.pledged))
    .bind(column(|buckets| buckets.authorized))
    .bind(column(|buckets| buckets.captured))
    .bind(column(|buckets| buckets.refunded))
    .bind(column(|buckets| buckets.disputed))
    .bind(changes.iter().map(|change| change.donors).collect::<Vec<_>>())
    .bind(at)
    .fetch_all(connection)
    .await
}

/// Takes over goal and title of campaigns, given in id order and once each, where the snapshot is newer than the one
/// known. Before the first money a campaign's currency is that of its goal.
pub(crate) async fn describe(
    connection: &mut PgConnection,
    campaigns: &[&CampaignState],
    at: DateTime<Utc>,
) -> Result<Vec<Totals>, sqlx::Error> {
    sqlx::query_as(
        "insert into campaign_totals as known (campaign_id, currency, goal, title, campaign_version, version, as_of)
         select campaign_id, currency, goal, title, campaign_version, 1, $6::timestamptz
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bigint[])
              as campaign (campaign_id, currency, goal, title, campaign_version)
         order by campaign_id
         on conflict (campaign_id) do update set
             currency = excluded.currency,
             goal = excluded.goal,
             title = excluded.title,
             campaign_version = excluded.campaign_version,
             version = known.version + 1,
             as_of = greatest(known.as_of, excluded.as_of)
         where known.campaign_version < excluded.campaign_version
           and (known.currency = excluded.currency
                or (known.pledged, known.authorized, known.captured, known.refunded, known.disputed) = (0, 0, 0, 0, 0))
         returning campaign_id, currency, goal, pledged, authorized, captured, refunded, disputed, donors, version, as_of",
    )
    .bind(campaigns.iter().map(|campaign| campaign.campaign_id.get()).collect::<Vec<_>>())
    .bind(campaigns.iter().map(|campaign| campaign.goal.currency.as_str()).collect::<Vec<_>>())
    .bind(campaigns.iter().map(|campaign| campaign.goal.minor).collect::<Vec<_>>())
    .bind(campaigns.iter().map(|campaign| campaign.title.as_str()).collect::<Vec<_>>())
    .bind(campaigns.iter().map(|campaign| campaign.version).collect::<Vec<_>>())
    .bind(at)
    .fetch_all(connection)
    .await
}

/// How many milliseconds there are until some campaign may be announced; `None` when all have been.
pub(crate) async fn next_announcement(
    pool: &PgPool,
    pause_ms: f64,
) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar(
        "select $1 - least(extract(epoch from clock_timestamp() - min(announced_at)) * 1000, $1)::float8
         from campaign_totals where version > announced_version",
    )
    .bind(pause_ms)
    .fetch_one(pool)
    .await
}

/// Marks campaigns as announced that have changed and have been quiet for `pause_ms`, and gives them as they stand.
pub(crate) async fn announce(
    connection: &mut PgConnection,
    pause_ms: f64,
) -> Result<Vec<Totals>, sqlx::Error> {
    sqlx::query_as(
        "with due as (
             select campaign_id from campaign_totals
             where version > announced_version
               and announced_at <= clock_timestamp() - make_interval(secs => $1 / 1000)
             order by campaign_id limit 500
             for update
         )
         update campaign_totals set announced_version = version, announced_at = clock_timestamp()
         from due where campaign_totals.campaign_id = due.campaign_id
         returning campaign_totals.campaign_id, currency, goal, pledged, authorized, captured, refunded, disputed,
                   donors, version, as_of",
    )
    .bind(pause_ms)
    .fetch_all(connection)
    .await
}

/// Whether anything is known of a campaign.
pub(crate) async fn exists(pool: &PgPool, campaign: CampaignId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from campaign_totals where campaign_id = $1)")
        .bind(campaign.get())
        .fetch_one(pool)
        .await
}
