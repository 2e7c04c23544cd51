//! `campaign_totals`: the row that a read takes as it stands.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::{events::TotalsUpdated, ids::CampaignId, money::Currency};
use sqlx::{PgConnection, PgPool, postgres::PgRow};
use uuid::Uuid;

use crate::domain::{Buckets, Totals};

/// What a campaign says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) goal: i64,
    pub(crate) title: String,
    /// Of the campaign's snapshot, from 1.
    pub(crate) version: i64,
}

/// What is new of a campaign.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) campaign_id: CampaignId,
    pub(crate) currency: Currency,
    pub(crate) buckets: Buckets,
    pub(crate) donors: i64,
    /// When the newest of the payments behind it changed.
    pub(crate) payment_at: Option<DateTime<Utc>>,
    pub(crate) described: Option<Described>,
}

impl Change {
    /// A change of nothing yet.
    pub(crate) fn new(campaign_id: CampaignId, currency: Currency) -> Self {
        Self {
            campaign_id,
            currency,
            buckets: Buckets::default(),
            donors: 0,
            payment_at: None,
            described: None,
        }
    }

    /// Whether money or donors come or go.
    pub(crate) fn has_money(&self) -> bool {
        self.buckets != Buckets::default() || self.donors != 0
    }

    /// Counts a payment that changed at this time.
    pub(crate) fn counts(&mut self, changed_at: DateTime<Utc>) {
        self.payment_at = self.payment_at.max(Some(changed_at));
    }

    /// How many milliseconds the newest payment took to be counted at this time. No less than none, since the clocks of
    /// two machines differ.
    fn lag_ms(&self, at: DateTime<Utc>) -> Option<i64> {
        let payment_at = self.payment_at.filter(|_| self.has_money())?;
        Some((at - payment_at).num_milliseconds().max(0))
    }
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
            lag_ms: row.try_get("lag_ms")?,
            frozen: row.try_get("frozen")?,
        })
    }
}

/// The totals of a campaign.
pub(crate) async fn get(
    pool: &PgPool,
    campaign: CampaignId,
) -> Result<Option<Totals>, sqlx::Error> {
    sqlx::query_as(
        "select campaign_id, currency, goal, pledged, authorized, captured, refunded, disputed, donors, version, as_of, lag_ms,
                frozen
         from campaign_totals where campaign_id = $1",
    )
    .bind(campaign.get())
    .fetch_optional(pool)
    .await
}

/// The totals of those campaigns that are known.
pub(crate) async fn many(pool: &PgPool, campaigns: &[Uuid]) -> Result<Vec<Totals>, sqlx::Error> {
    sqlx::query_as(
        "select campaign_id, currency, goal, pledged, authorized, captured, refunded, disputed, donors, version, as_of, lag_ms,
                frozen
         from campaign_totals where campaign_id = any($1)",
    )
    .bind(campaigns)
    .fetch_all(pool)
    .await
}

/// Applies changes, in id order and one for each campaign; unknown campaigns come into being. Gives what changed. A
/// campaign is left alone, and not given, when it is frozen, when its money is of another currency, or when there is
/// nothing new. The first money decides on the currency only of a campaign that has not said anything of itself.
pub(crate) async fn apply(
    connection: &mut PgConnection,
    changes: &[Change],
    at: DateTime<Utc>,
) -> Result<Vec<Totals>, sqlx::Error> {
    let bucket = |of: fn(&Buckets) -> i64| -> Vec<i64> {
        changes.iter().map(|change| of(&change.buckets)).collect()
    };
    sqlx::query_as(
        "insert into campaign_totals as known
             (campaign_id, currency, goal, title, campaign_version, pledged, authorized, captured, refunded, disputed,
              donors, version, as_of, lag_ms)
         select campaign_id, currency, goal, title, campaign_version, pledged, authorized, captured, refunded, disputed,
                donors, 1, $12::timestamptz, lag_ms
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $13::bigint[])
              as change (campaign_id, currency, goal, title, campaign_version, pledged, authorized, captured, refunded,
                         disputed, donors, lag_ms)
         order by campaign_id
         on conflict (campaign_id) do update set
             currency = excluded.currency,
             goal = case when known.campaign_version < excluded.campaign_version then excluded.goal else known.goal end,
             title = case when known.campaign_version < excluded.campaign_version then excluded.title else known.title end,
             campaign_version = greatest(known.campaign_version, excluded.campaign_version),
             pledged = known.pledged + excluded.pledged,
             authorized = known.authorized + excluded.authorized,
             captured = known.captured + excluded.captured,
             refunded = known.refunded + excluded.refunded,
             disputed = known.disputed + excluded.disputed,
             donors = known.donors + excluded.donors,
             version = known.version + 1,
             as_of = greatest(known.as_of, excluded.as_of),
             lag_ms = coalesce(excluded.lag_ms, known.lag_ms)
         where (known.currency = excluded.currency
                or ((known.pledged, known.authorized, known.captured, known.refunded, known.disputed) = (0, 0, 0, 0, 0)
                    and not exists (select from campaigns said
                                    where said.campaign_id = known.campaign_id and said.currency <> excluded.currency)))
           and not known.frozen
           and (known.campaign_version < excluded.campaign_version
                or (excluded.pledged, excluded.authorized, excluded.captured, excluded.refunded, excluded.disputed,
                    excluded.donors) <> (0, 0, 0, 0, 0, 0))
         returning campaign_id, currency, goal, pledged, authorized, captured, refunded, disputed, donors, version, as_of,
                   lag_ms, frozen",
    )
    .bind(changes.iter().map(|change| change.campaign_id.get()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.currency.as_str()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.described.as_ref().map(|described| described.goal)).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.described.as_ref().map(|described| described.title.as_str())).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.described.as_ref().map_or(0, |described| described.version)).collect::<Vec<_>>())
    .bind(bucket(|buckets| buckets.pledged))
    .bind(bucket(|buckets| buckets.authorized))
    .bind(bucket(|buckets| buckets.captured))
    .bind(bucket(|buckets| buckets.refunded))
    .bind(bucket(|buckets| buckets.disputed))
    .bind(changes.iter().map(|change| change.donors).collect::<Vec<_>>())
    .bind(at)
    .bind(changes.iter().map(|change| change.lag_ms(at)).collect::<Vec<_>>())
    .fetch_all(connection)
    .await
}

/// The currency of each known campaign.
pub(crate) async fn currencies(
    connection: &mut PgConnection,
    campaigns: &[Uuid],
) -> Result<HashMap<Uuid, String>, sqlx::Error> {
    let known: Vec<(Uuid, String)> = sqlx::query_as(
        "select campaign_id, currency from campaign_totals where campaign_id = any($1)",
    )
    .bind(campaigns)
    .fetch_all(connection)
    .await?;
    Ok(known.into_iter().collect())
}

/// The generation that each known campaign stands on, and the one that is being built, with the campaign that it is for
/// unless it is for all. To be asked under [`super::rebuilds::share`].
pub(crate) async fn generations(
    connection: &mut PgConnection,
    campaigns: &[Uuid],
) -> Result<Vec<(Option<Uuid>, i64, bool)>, sqlx::Error> {
    sqlx::query_as(
        "select campaign_id, generation, true from campaign_totals where campaign_id = any($1)
         union all
         (select campaign_id, generation, false from rebuilds where state = 'BUILDING' limit 1)",
    )
    .bind(campaigns)
    .fetch_all(connection)
    .await
}

/// Freezes campaigns: their amounts stay until they are built anew.
pub(crate) async fn freeze(
    connection: &mut PgConnection,
    campaigns: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query("update campaign_totals set frozen = true where campaign_id = any($1)")
        .bind(campaigns)
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts a generation in the place of what stands, in id order, and gives the rows. The version of a row grows if it
/// changes; a row that was lost gets one that nobody has seen.
pub(crate) async fn replace(
    connection: &mut PgConnection,
    generation: i64,
    at: DateTime<Utc>,
) -> Result<Vec<Totals>, sqlx::Error> {
    sqlx::query_as(
        "insert into campaign_totals as known
             (campaign_id, currency, goal, title, campaign_version, pledged, authorized, captured, refunded, disputed,
              donors, version, as_of, generation, frozen)
         select fresh.campaign_id, fresh.currency, said.goal, said.title, coalesce(said.version, 0), pledged, authorized,
                captured, refunded, disputed, donors, (extract(epoch from $2::timestamptz) * 1000)::bigint,
                $2::timestamptz, generation, least(pledged, authorized, captured, refunded, disputed,
                                                   captured - refunded - disputed) < 0
         from shadow_totals as fresh left join campaigns as said on said.campaign_id = fresh.campaign_id
         where fresh.generation = $1
         order by fresh.campaign_id
         on conflict (campaign_id) do update set
             currency = excluded.currency,
             goal = coalesce(excluded.goal, known.goal),
             title = coalesce(excluded.title, known.title),
             campaign_version = greatest(known.campaign_version, excluded.campaign_version),
             pledged = excluded.pledged, authorized = excluded.authorized, captured = excluded.captured,
             refunded = excluded.refunded, disputed = excluded.disputed, donors = excluded.donors,
             version = known.version + ((known.currency, known.pledged, known.authorized, known.captured, known.refunded,
                                         known.disputed, known.donors, known.frozen)
                                        is distinct from
                                        (excluded.currency, excluded.pledged, excluded.authorized, excluded.captured,
                                         excluded.refunded, excluded.disputed, excluded.donors, excluded.frozen))::int,
             as_of = case when (known.currency, known.pledged, known.authorized, known.captured, known.refunded,
                                known.disputed, known.donors, known.frozen)
                               is distinct from
                               (excluded.currency, excluded.pledged, excluded.authorized, excluded.captured,
                                excluded.refunded, excluded.disputed, excluded.donors, excluded.frozen)
                          then greatest(known.as_of, excluded.as_of) else known.as_of end,
             generation = excluded.generation, frozen = excluded.frozen
         returning campaign_id, currency, goal, pledged, authorized, captured, refunded, disputed, donors, version, as_of,
                   lag_ms, frozen",
    )
    .bind(generation)
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
        "select $1::float8 - (extract(epoch from clock_timestamp() - min(announced_at)) * 1000)::float8
         from campaign_totals where unannounced",
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
             where unannounced
               and announced_at <= statement_timestamp() - make_interval(secs => $1::float8 / 1000)
             order by campaign_id limit 500
             for update
         )
         update campaign_totals set announced_version = version, announced_at = clock_timestamp()
         from due where campaign_totals.campaign_id = due.campaign_id
         returning campaign_totals.campaign_id, currency, goal, pledged, authorized, captured, refunded, disputed,
                   donors, version, as_of, lag_ms, frozen",
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

/// Lets the versions of totals go on above those that were told; a campaign that is not known yet comes into being with
/// nothing. Gives how many were raised.
pub(crate) async fn outrun(
    pool: &PgPool,
    told: &[TotalsUpdated],
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let raised = sqlx::query(
        "insert into campaign_totals as known (campaign_id, currency, version, as_of)
         select campaign_id, currency, version + 1, $4
         from unnest($1::uuid[], $2::text[], $3::bigint[]) as told (campaign_id, currency, version)
         order by campaign_id
         on conflict (campaign_id) do update set version = excluded.version, as_of = excluded.as_of
         where known.version < excluded.version - 1",
    )
    .bind(
        told.iter()
            .map(|told| told.campaign_id.get())
            .collect::<Vec<_>>(),
    )
    .bind(
        told.iter()
            .map(|told| told.raised.currency.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(told.iter().map(|told| told.version).collect::<Vec<_>>())
    .bind(now)
    .execute(pool)
    .await?;
    Ok(raised.rows_affected())
}
