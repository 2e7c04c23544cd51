//! What is compared: payments as the totals contain them, and campaigns with the sums of those. Reads only.

use sqlx::{FromRow, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::domain::Buckets;

/// What the totals contain of a payment.
#[derive(Debug, FromRow)]
pub(crate) struct Applied {
    pub(crate) payment_id: Uuid,
    pub(crate) campaign_id: Uuid,
    pub(crate) donor_ref: String,
    pub(crate) version: i64,
    #[sqlx(flatten)]
    pub(crate) buckets: Buckets,
}

/// A campaign's row beside what it should be, as of one moment.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) campaign_id: Uuid,
    pub(crate) shown: Buckets,
    pub(crate) summed: Buckets,
    pub(crate) donors_shown: i64,
    pub(crate) donors_counted: i64,
    pub(crate) frozen: bool,
}

impl Compared {
    /// Whether the row is not what it should be.
    pub(crate) fn differs(&self) -> bool {
        self.shown != self.summed || self.donors_shown != self.donors_counted
    }
}

impl FromRow<'_, PgRow> for Compared {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            campaign_id: row.try_get("campaign_id")?,
            shown: Buckets::from_row(row)?,
            summed: Buckets {
                pledged: row.try_get("pledged_sum")?,
                authorized: row.try_get("authorized_sum")?,
                captured: row.try_get("captured_sum")?,
                refunded: row.try_get("refunded_sum")?,
                disputed: row.try_get("disputed_sum")?,
            },
            donors_shown: row.try_get("donors")?,
            donors_counted: row.try_get("donors_counted")?,
            frozen: row.try_get("frozen")?,
        })
    }
}

/// What the totals contain of the payments after one and up to another.
pub(crate) async fn applied(
    pool: &PgPool,
    after: Uuid,
    to: Uuid,
) -> Result<Vec<Applied>, sqlx::Error> {
    sqlx::query_as(
        "select mark.payment_id, mark.campaign_id, mark.donor_ref, mark.version, mark.pledged, mark.authorized,
                mark.captured, mark.refunded, mark.disputed
         from payment_watermarks as mark left join campaign_totals as total on total.campaign_id = mark.campaign_id
         where mark.payment_id > $1 and mark.payment_id <= $2 and mark.generation = coalesce(total.generation, 0)",
    )
    .bind(after)
    .bind(to)
    .fetch_all(pool)
    .await
}

/// The next campaigns in id order, each with the sums of its payments.
pub(crate) async fn campaigns(pool: &PgPool, after: Uuid) -> Result<Vec<Compared>, sqlx::Error> {
    sqlx::query_as(
        "select total.campaign_id, total.pledged, total.authorized, total.captured, total.refunded, total.disputed,
                total.donors, total.frozen, sums.*,
                (select count(*) from campaign_donors as donor
                 where donor.campaign_id = total.campaign_id and donor.generation = total.generation
                   and donor.gifts > 0) as donors_counted
         from campaign_totals as total
         cross join lateral (
             select coalesce(sum(mark.pledged), 0)::bigint as pledged_sum,
                    coalesce(sum(mark.authorized), 0)::bigint as authorized_sum,
                    coalesce(sum(mark.captured), 0)::bigint as captured_sum,
                    coalesce(sum(mark.refunded), 0)::bigint as refunded_sum,
                    coalesce(sum(mark.disputed), 0)::bigint as disputed_sum
             from payment_watermarks as mark
             where mark.campaign_id = total.campaign_id and mark.generation = total.generation
         ) as sums
         where total.campaign_id > $1 order by total.campaign_id limit 20",
    )
    .bind(after)
    .fetch_all(pool)
    .await
}
