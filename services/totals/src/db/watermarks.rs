//! `payment_watermarks`: what of each payment the totals contain, once for each generation.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::Buckets;

/// What was applied of a payment.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Watermark {
    pub(crate) payment_id: Uuid,
    pub(crate) generation: i64,
    pub(crate) campaign_id: Uuid,
    pub(crate) pledge_id: Option<Uuid>,
    pub(crate) donor_ref: String,
    pub(crate) version: i64,
    #[sqlx(flatten)]
    pub(crate) buckets: Buckets,
    /// When its money came, if it has.
    pub(crate) given_at: Option<DateTime<Utc>>,
}

/// A payment in a generation. Everybody locks watermarks in this order.
pub(crate) type Key = (Uuid, i64);

impl Watermark {
    pub(crate) fn key(&self) -> Key {
        (self.payment_id, self.generation)
    }
}

/// Inserts the watermarks of payments that have none, and gives those payments. When money came is taken over from
/// another generation that saw it come. They are to be in the order of their
/// keys, so that two replicas with the same payments wait for each other instead of deadlocking.
pub(crate) async fn insert_missing(
    connection: &mut PgConnection,
    watermarks: &[Watermark],
) -> Result<HashSet<Key>, sqlx::Error> {
    let columns = Columns::of(watermarks);
    let inserted: Vec<Key> = sqlx::query_as(
        "insert into payment_watermarks
             (payment_id, generation, campaign_id, pledge_id, donor_ref, version, pledged, authorized, captured,
              refunded, disputed, given_at)
         select payment_id, generation, campaign_id, pledge_id, donor_ref, version, pledged, authorized, captured,
                refunded, disputed,
                coalesce((select min(other.given_at) from payment_watermarks as other
                          where other.payment_id = fresh.payment_id), given_at)
         from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::timestamptz[])
              as fresh (payment_id, generation, campaign_id, pledge_id, donor_ref, version, pledged, authorized,
                        captured, refunded, disputed, given_at)
         where not exists (select from payment_watermarks as known
                           where known.payment_id = fresh.payment_id and known.generation = fresh.generation)
         order by payment_id, generation
         on conflict (payment_id, generation) do nothing
         returning payment_id, generation",
    )
    .bind(columns.payments)
    .bind(columns.generations)
    .bind(columns.campaigns)
    .bind(columns.pledges)
    .bind(columns.donors)
    .bind(columns.versions)
    .bind(columns.pledged)
    .bind(columns.authorized)
    .bind(columns.captured)
    .bind(columns.refunded)
    .bind(columns.disputed)
    .bind(columns.given)
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().collect())
}

/// Locks payments in the order of their keys and gives what was applied of each.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    keys: &[Key],
) -> Result<Vec<Watermark>, sqlx::Error> {
    let (payments, generations): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
    sqlx::query_as(
        "select known.payment_id, known.generation, campaign_id, pledge_id, donor_ref, version, pledged, authorized,
                captured, refunded, disputed, given_at
         from unnest($1::uuid[], $2::bigint[]) as asked (payment_id, generation)
         join payment_watermarks as known
              on known.payment_id = asked.payment_id and known.generation = asked.generation
         order by known.payment_id, known.generation for update of known",
    )
    .bind(payments)
    .bind(generations)
    .fetch_all(connection)
    .await
}

/// Notes newer snapshots of locked payments.
pub(crate) async fn advance(
    connection: &mut PgConnection,
    watermarks: &[Watermark],
) -> Result<(), sqlx::Error> {
    let columns = Columns::of(watermarks);
    sqlx::query(
        "update payment_watermarks as known set
             campaign_id = newer.campaign_id, pledge_id = newer.pledge_id, donor_ref = newer.donor_ref,
             version = newer.version, pledged = newer.pledged, authorized = newer.authorized,
             captured = newer.captured, refunded = newer.refunded, disputed = newer.disputed,
             given_at = coalesce(known.given_at, newer.given_at)
         from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::timestamptz[])
              as newer (payment_id, generation, campaign_id, pledge_id, donor_ref, version, pledged, authorized,
                        captured, refunded, disputed, given_at)
         where known.payment_id = newer.payment_id and known.generation = newer.generation",
    )
    .bind(columns.payments)
    .bind(columns.generations)
    .bind(columns.campaigns)
    .bind(columns.pledges)
    .bind(columns.donors)
    .bind(columns.versions)
    .bind(columns.pledged)
    .bind(columns.authorized)
    .bind(columns.captured)
    .bind(columns.refunded)
    .bind(columns.disputed)
    .bind(columns.given)
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes some of what a campaign's generation consists of, and says whether that was all.
pub(crate) async fn discard(
    connection: &mut PgConnection,
    campaign: Uuid,
    generation: i64,
) -> Result<bool, sqlx::Error> {
    let gone = sqlx::query(
        "delete from payment_watermarks
         where (payment_id, generation) in (
             select payment_id, generation from payment_watermarks
             where campaign_id = $1 and generation = $2 limit 1000)",
    )
    .bind(campaign)
    .bind(generation)
    .execute(connection)
    .await?;
    Ok(gone.rows_affected() == 0)
}

/// Watermarks turned on their side, as `unnest` takes them.
struct Columns<'a> {
    payments: Vec<Uuid>,
    generations: Vec<i64>,
    campaigns: Vec<Uuid>,
    pledges: Vec<Option<Uuid>>,
    donors: Vec<&'a str>,
    versions: Vec<i64>,
    pledged: Vec<i64>,
    authorized: Vec<i64>,
    captured: Vec<i64>,
    refunded: Vec<i64>,
    disputed: Vec<i64>,
    given: Vec<Option<DateTime<Utc>>>,
}

impl<'a> Columns<'a> {
    fn of(watermarks: &'a [Watermark]) -> Self {
        let bucket =
            |of: fn(&Buckets) -> i64| watermarks.iter().map(|one| of(&one.buckets)).collect();
        Self {
            payments: watermarks.iter().map(|one| one.payment_id).collect(),
            generations: watermarks.iter().map(|one| one.generation).collect(),
            campaigns: watermarks.iter().map(|one| one.campaign_id).collect(),
            pledges: watermarks.iter().map(|one| one.pledge_id).collect(),
            donors: watermarks
                .iter()
                .map(|one| one.donor_ref.as_str())
                .collect(),
            versions: watermarks.iter().map(|one| one.version).collect(),
            pledged: bucket(|buckets| buckets.pledged),
            authorized: bucket(|buckets| buckets.authorized),
            captured: bucket(|buckets| buckets.captured),
            refunded: bucket(|buckets| buckets.refunded),
            disputed: bucket(|buckets| buckets.disputed),
            given: watermarks.iter().map(|one| one.given_at).collect(),
        }
    }
}
