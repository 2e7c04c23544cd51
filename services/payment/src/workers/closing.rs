//! Closes what is open for too long: payments that were not paid in time, payments that were called off, and holds
//! that are about to run out.

use crate::{
    App, control,
    db::{captures, due, lookup, payments},
    error::Error,
    holds,
};

/// How many payments one round takes of each kind.
const BATCH: i64 = 16;

/// Closes at start, and then at the configured interval, until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    while !app.life.is_stopping() {
        match round(&app).await {
            // There may be more.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "closing pauses"),
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.resolve_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}

/// One round, and whether there may be more to do.
///
/// # Errors
/// When the database is away.
async fn round(app: &App) -> Result<bool, Error> {
    let pool = app.db.pool();
    let now = app.clock.now();
    let expired = payments::expire(pool, now, BATCH).await?;
    let again = now + app.settings.resolve_after;
    let endings = payments::take_endings(pool, now, again, BATCH).await?;
    for id in &endings {
        let settled = control::settle(app, *id).await?;
        if settled.state.is_live() {
            let tries = due::tries(pool, *id).await?;
            payments::end_again(pool, *id, Some(control::again(app, now, tries))).await?;
        }
    }
    for id in due::new_holds(pool, BATCH).await? {
        if let Some(payment) = lookup::find(pool, id).await? {
            holds::learn(app, &payment).await?;
        }
    }
    for id in due::old_holds(pool, now, BATCH).await? {
        if let Some(payment) = lookup::find(pool, id).await? {
            holds::close(app, &payment).await?;
        }
    }
    let taken = captures::take(pool, now, again, BATCH).await?;
    for id in &taken {
        holds::settle(app, *id).await?;
    }
    let full = |count: usize| i64::try_from(count).is_ok_and(|count| count >= BATCH);
    Ok(expired >= BATCH.unsigned_abs() || full(endings.len()) || full(taken.len()))
}
