//! `payment_watermarks`: what of each payment the totals contain.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::Buckets;

/// What was applied of a payment.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Watermark {
    pub(crate) payment_id: Uuid,
    pub(crate) campaign_id: Uuid,
    pub(crate) donor_ref: String,
    pub(crate) version: i64,
    #[sqlx(flatten)]
    pub(crate) buckets: Buckets,
}

/// Inserts the watermarks of payments that have none, and gives those payments. They are to be in id order, so that two
/// replicas with the same payments wait for each other instead of deadlocking.
pub(crate) async fn insert_missing(
    connection: &mut PgConnection,
    watermarks: &[Watermark],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let columns = Columns::of(watermarks);
    let inserted: Vec<Uuid> = sqlx::query_scalar(
        "insert into payment_watermarks
             (payment_id, campaign_id, donor_ref, version, pledged, authorized, captured, refunded, disputed)
         select payment_id, campaign_id, donor_ref, version, pledged, authorized, captured, refunded, disputed
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[])
              as fresh (payment_id, campaign_id, donor_ref, version, pledged, authorized, captured, refunded, disputed)
         order by payment_id
         on conflict (payment_id) do nothing
         returning payment_id",
    )
    .bind(columns.payments)
    .bind(columns.campaigns)
    .bind(columns.donors)
    .bind(columns.versions)
    .bind(columns.pledged)
    .bind(columns.authorized)
    .bind(columns.captured)
    .bind(columns.refunded)
    .bind(columns.disputed)
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().collect())
}

/// Locks payments in id order and gives what was applied of each.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    payments: &[Uuid],
) -> Result<Vec<Watermark>, sqlx::Error> {
    sqlx::query_as(
        "select payment_id, campaign_id, donor_ref, version, pledged, authorized, captured, refunded, disputed
         from payment_watermarks where payment_id = any($1) order by payment_id for update",
    )
    .bind(payments)
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
             campaign_id = newer.campaign_id, donor_ref = newer.donor_ref, version = newer.version,
             pledged = newer.pledged, authorized = newer.authorized, captured = newer.captured,
             refunded = newer.refunded, disputed = newer.disputed
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[])
              as newer (payment_id, campaign_id, donor_ref, version, pledged, authorized, captured, refunded, disputed)
         where known.payment_id = newer.payment_id",
    )
    .bind(columns.payments)
    .bind(columns.campaigns)
    .bind(columns.donors)
    .bind(columns.versions)
    .bind(columns.pledged)
    .bind(columns.authorized)
    .bind(columns.captured)
    .bind(columns.refunded)
    .bind(columns.disputed)
    .execute(connection)
    .await?;
    Ok(())
}

/// Watermarks turned on their side, as `unnest` takes them.
struct Columns<'a> {
    payments: Vec<Uuid>,
    campaigns: Vec<Uuid>,
    donors: Vec<&'a str>,
    versions: Vec<i64>,
    pledged: Vec<i64>,
    authorized: Vec<i64>,
    captured: Vec<i64>,
    refunded: Vec<i64>,
    disputed: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(watermarks: &'a [Watermark]) -> Self {
        let bucket =
            |of: fn(&Buckets) -> i64| watermarks.iter().map(|one| of(&one.buckets)).collect();
        Self {
            payments: watermarks.iter().map(|one| one.payment_id).collect(),
            campaigns: watermarks.iter().map(|one| one.campaign_id).collect(),
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
        }
    }
}
