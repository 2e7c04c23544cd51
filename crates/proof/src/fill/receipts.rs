//! The numbers of receipts, which have no gap: made-up ones go on where the real ones have ended.

use anyhow::Result;
use sqlx::PgConnection;

use super::Plan;

/// Learns which numbers were given.
pub(super) async fn read(connection: &mut PgConnection, plan: &mut Plan) -> Result<()> {
    if are_there(connection).await? {
        let given = sqlx::query_as("select year, last from pledge.receipt_numbers");
        plan.receipts = given.fetch_all(connection).await?.into_iter().collect();
    }
    Ok(())
}

/// Notes which numbers are given now.
pub(super) async fn write(connection: &mut PgConnection, plan: &Plan) -> Result<()> {
    if are_there(connection).await? {
        let (years, last): (Vec<i32>, Vec<i64>) = plan.last_receipts().into_iter().unzip();
        sqlx::query(
            "insert into pledge.receipt_numbers (year, last) select * from unnest($1::integer[], $2::bigint[])
             on conflict (year) do update set last = excluded.last",
        )
        .bind(years)
        .bind(last)
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn are_there(connection: &mut PgConnection) -> Result<bool> {
    let there = sqlx::query_scalar("select to_regclass('pledge.receipt_numbers') is not null");
    Ok(there.fetch_one(connection).await?)
}
