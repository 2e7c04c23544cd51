//! Finished replies, stored with what they tell of. The table and its reader are shared by all services.

use std::collections::HashSet;

use common::idempotency::{self, Claim, Reply};
use sqlx::PgConnection;

/// Stores replies whose keys are new, and gives the scopes of those. Each scope comes once, in their order, so that
/// two replicas wait for each other instead of deadlocking.
pub async fn insert_new(
    connection: &mut PgConnection,
    finished: &[(&Claim, &Reply)],
) -> Result<HashSet<[u8; 32]>, sqlx::Error> {
    if finished.is_empty() {
        return Ok(HashSet::new());
    }
    let (scopes, fingerprints, statuses, headers, bodies) =
        idempotency::insert_columns(finished.iter().copied());
    let inserted: Vec<Vec<u8>> = sqlx::query_scalar(
        "insert into idempotency (scope, fingerprint, status, headers, body)
         select scope, fingerprint, status, headers::json, body
         from unnest($1::bytea[], $2::bytea[], $3::smallint[], $4::text[], $5::bytea[])
              as f (scope, fingerprint, status, headers, body)
         order by scope
         on conflict do nothing
         returning scope",
    )
    .bind(scopes)
    .bind(fingerprints)
    .bind(statuses)
    .bind(headers)
    .bind(bodies)
    .fetch_all(connection)
    .await?;
    let exact = |scope: Vec<u8>| scope.try_into().ok();
    Ok(inserted.into_iter().filter_map(exact).collect())
}
