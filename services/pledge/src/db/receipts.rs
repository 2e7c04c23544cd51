//! Receipts and their numbers.

use chassis::db::{Db, Tx};
use chrono::{DateTime, Utc};
use common::{
    ids::PledgeId,
    money::{Currency, Parts},
};
use uuid::Uuid;

use crate::domain::receipts::{Captured, Receipt};

#[derive(sqlx::FromRow)]
struct Row {
    pledge_id: Uuid,
    year: i32,
    number: i64,
    payment_id: Uuid,
    campaign_id: Uuid,
    gift_minor: i64,
    tip_minor: i64,
    covered_fee_minor: i64,
    currency: String,
    captured_at: DateTime<Utc>,
    issued_at: DateTime<Utc>,
}

/// Makes the receipt of each payment that has none yet, with the next numbers of its year. `taken` holds each payment
/// at most once, and the caller holds the locks of their pledges.
///
/// The row of the year's last number is locked from here to the commit: this is the last thing that a transaction does.
pub async fn issue(
    tx: &mut Tx,
    taken: &[&Captured],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if taken.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "with fresh as (
             select t.*, row_number() over (partition by year order by n) as place
             from unnest(
                 $1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
                 $9::timestamptz[]
             ) with ordinality as t (pledge_id, year, payment_id, campaign_id, gift_minor, tip_minor, covered_fee_minor,
                                     currency, captured_at, n)
             where not exists (select 1 from receipts r where r.payment_id = t.payment_id)
         ), wanted as (
             select year, count(*) as count from fresh group by year order by year
         ), numbered as (
             insert into receipt_numbers (year, last) select year, count from wanted order by year
             on conflict (year) do update set last = receipt_numbers.last + excluded.last
             returning year, last
         )
         insert into receipts (pledge_id, year, number, payment_id, campaign_id, gift_minor, tip_minor, covered_fee_minor,
                               currency, captured_at, issued_at)
         select pledge_id, year, last - count + place, payment_id, campaign_id, gift_minor, tip_minor, covered_fee_minor,
                currency, captured_at, $10
         from fresh join wanted using (year) join numbered using (year)",
    )
    .bind(taken.iter().map(|one| one.pledge_id.get()).collect::<Vec<_>>())
    .bind(taken.iter().map(|one| one.year()).collect::<Vec<_>>())
    .bind(taken.iter().map(|one| one.payment_id.get()).collect::<Vec<_>>())
    .bind(taken.iter().map(|one| one.campaign_id.get()).collect::<Vec<_>>())
    .bind(taken.iter().map(|one| one.parts.gift).collect::<Vec<_>>())
    .bind(taken.iter().map(|one| one.parts.tip).collect::<Vec<_>>())
    .bind(taken.iter().map(|one| one.parts.covered_fee).collect::<Vec<_>>())
    .bind(taken.iter().map(|one| one.currency.as_str()).collect::<Vec<_>>())
    .bind(taken.iter().map(|one| one.at).collect::<Vec<_>>())
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The receipts of a pledge, in the order in which they were issued: one for each of its payments that took money.
pub async fn of_pledge(db: &Db, id: PledgeId) -> Result<Vec<Receipt>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select pledge_id, year, number, payment_id, campaign_id, gift_minor, tip_minor, covered_fee_minor, currency, captured_at,
                issued_at
         from receipts where pledge_id = $1 order by issued_at, number",
    )
    .bind(id.get())
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(Receipt::try_from).collect()
}

impl TryFrom<Row> for Receipt {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let currency =
            Currency::parse(&row.currency).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self {
            captured: Captured {
                pledge_id: row.pledge_id.into(),
                payment_id: row.payment_id.into(),
                campaign_id: row.campaign_id.into(),
                parts: Parts {
                    gift: row.gift_minor,
                    tip: row.tip_minor,
                    covered_fee: row.covered_fee_minor,
                },
                currency,
                at: row.captured_at,
            },
            year: row.year,
            number: row.number,
            issued_at: row.issued_at,
        })
    }
}
