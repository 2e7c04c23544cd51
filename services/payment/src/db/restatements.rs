//! Versions that payments went on above, without knowing them.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::PgConnection;

/// A payment that was told anew.
pub struct Restated {
    /// Which.
    pub payment_id: PaymentId,
    /// The last version that is known here.
    pub from: i64,
    /// The version under which it was told anew.
    pub version: i64,
}

/// Notes which versions are not known here.
pub async fn insert(
    connection: &mut PgConnection,
    restated: &[Restated],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into payment_restatements (payment_id, from_version, version, at)
         select payment_id, from_version, version, $4
         from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as r (payment_id, from_version, version) order by payment_id",
    )
    .bind(restated.iter().map(|r| r.payment_id.get()).collect::<Vec<_>>())
    .bind(restated.iter().map(|r| r.from).collect::<Vec<_>>())
    .bind(restated.iter().map(|r| r.version).collect::<Vec<_>>())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
