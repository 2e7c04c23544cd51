//! Tells the others about changed totals: at once, then at most every 200 ms per campaign, the last value always.
//!
//! What is still to be told is in the rows themselves (`unannounced`), so that a crash forgets nothing and several
//! replicas share the work.

use std::{sync::Arc, time::Duration};

use chassis::{db::Db, lifecycle::Lifecycle, telemetry};
use common::outbox;
use tokio::sync::Notify;
use tracing::Instrument;

use crate::{db::totals, domain::Totals, replies::Replies};

/// The least time between two announcements of a campaign, in milliseconds.
const PAUSE_MS: f64 = 200.0;
/// How often to look without being told, for what another process left behind.
const LOOK: Duration = Duration::from_secs(1);

/// Starts the worker; `changed` wakes it.
pub(crate) fn spawn(db: &Db, replies: &Replies, changed: &Arc<Notify>, life: &Lifecycle) {
    let (db, replies, changed) = (db.clone(), replies.clone(), changed.clone());
    let running = life.clone();
    life.spawn("announce", async move {
        while !running.is_stopping() {
            let wait = match next(&db, &replies).await {
                Ok(Some(next)) => next,
                Ok(None) => {
                    tokio::select! {
                        () = changed.notified() => {}
                        () = tokio::time::sleep(LOOK) => {}
                        () = running.stopping() => {}
                    }
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "totals cannot be announced yet");
                    LOOK
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = running.stopping() => {}
            }
        }
        Ok(())
    });
}

/// Announces what may be announced, and says when there is more; `None` when all is told.
async fn next(db: &Db, replies: &Replies) -> Result<Option<Duration>, sqlx::Error> {
    let Some(wait) = totals::next_announcement(db.pool(), PAUSE_MS).await? else {
        return Ok(None);
    };
    if wait >= 1.0 {
        return Ok(Some(Duration::from_secs_f64(wait / 1000.0)));
    }
    let span = telemetry::span_from("announce totals", None);
    announce(db, replies).instrument(span).await?;
    Ok(Some(Duration::ZERO))
}

/// Tells of every campaign that has changed and was quiet for long enough.
async fn announce(db: &Db, replies: &Replies) -> Result<(), sqlx::Error> {
    let mut tx = db.begin().await?;
    let due = totals::announce(&mut tx, PAUSE_MS).await?;
    let row = |totals: &Totals| outbox::Row::of(&totals.updated(), telemetry::traceparent());
    let rows: Vec<_> = due.iter().map(row).collect();
    outbox::insert_all(&mut tx, &rows).await?;
    // Whoever changed them may have died before Redis had them. Before the commit, so that whoever dies here leaves them
    // to be announced again.
    replies.refresh(due).await;
    tx.commit().await
}
