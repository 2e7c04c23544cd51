//! Effects that are not projections of snapshots happen once per event: the event's id is noted in the
//! transaction of the effect.

use std::collections::HashSet;

use chassis::db::Tx;
use sqlx::PgConnection;
use uuid::Uuid;

/// Notes the event for `consumer`; false when it was noted before, and then there is nothing left to do.
///
/// # Errors
/// Whatever the database says.
pub async fn first_time(tx: &mut Tx, consumer: &str, event_id: Uuid) -> Result<bool, sqlx::Error> {
    Ok(!fresh(tx, consumer, &[event_id]).await?.is_empty())
}

/// Notes a batch of events for `consumer` and gives those that were not noted before. Ids that stand in the batch
/// twice are given once. The caller must be inside the transaction of the effects.
///
/// # Errors
/// Whatever the database says.
pub async fn fresh(
    connection: &mut PgConnection,
    consumer: &str,
    events: &[Uuid],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    // In id order, so that two replicas with overlapping batches wait for each other instead of deadlocking.
    let noted = sqlx::query_scalar::<_, Uuid>(
        "insert into inbox (consumer, event_id)
         select $1, event_id from (select distinct unnest($2::uuid[]) as event_id order by 1) events
         on conflict do nothing
         returning event_id",
    );
    Ok(noted
        .bind(consumer)
        .bind(events)
        .fetch_all(connection)
        .await?
        .into_iter()
        .collect())
}
