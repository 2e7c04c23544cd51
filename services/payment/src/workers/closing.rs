//! Closes what is open for too long: payments that were not paid in time, payments that were called off, and holds
//! that are about to run out.

use common::ids::PaymentId;
use futures::future::join_all;

use crate::{
    App, control,
    db::{captures, due, payments},
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

/// One round, and whether there may be more to do. What fails with one payment keeps no other.
///
/// # Errors
/// When the database is away.
async fn round(app: &App) -> Result<bool, Error> {
    let pool = app.db.pool();
    let now = app.clock.now();
    let expired = payments::expire(pool, now, BATCH).await?;
    let again = now + app.settings.resolve_after;
    let endings = payments::take_endings(pool, now, again, BATCH).await?;
    all("a payment is called off later", &endings, |id| end(app, id)).await;
    let new = due::new_holds(pool, BATCH).await?;
    let known = all("a hold is looked at later", &new, |id| learn(app, id)).await;
    let old = due::old_holds(pool, now, BATCH).await?;
    let closed = all("a hold is dealt with later", &old, |id| close(app, id)).await;
    let taken = captures::take(pool, now, again, BATCH).await?;
    all("held money is taken later", &taken, |id| take(app, id)).await;
    let full = |count: usize| i64::try_from(count).is_ok_and(|count| count >= BATCH);
    // Holds that nothing came of are found again by the next round: they alone are no reason to hurry.
    let came_on = |count: usize, moved: &[bool]| full(count) && moved.contains(&true);
    Ok(expired >= BATCH.unsigned_abs()
        || full(endings.len())
        || came_on(new.len(), &known)
        || came_on(old.len(), &closed)
        || full(taken.len()))
}

/// Deals with all of them at once, since one that waits for the provider keeps no other waiting, and gives what came of
/// those that did not fail.
async fn all<T, F: Future<Output = Result<T, Error>>>(
    failed: &str,
    ids: &[PaymentId],
    deal: impl Fn(PaymentId) -> F,
) -> Vec<T> {
    let dealt = join_all(ids.iter().map(|id| deal(*id))).await;
    let outcomes = ids.iter().zip(dealt).filter_map(|(id, outcome)| {
        outcome
            .inspect_err(|error| tracing::warn!(payment.id = %id, %error, "{failed}"))
            .ok()
    });
    outcomes.collect()
}

async fn end(app: &App, id: PaymentId) -> Result<(), Error> {
    let settled = control::settle(app, id).await?;
    if settled.state.is_live() {
        let tries = due::tries(app.db.pool(), id).await?;
        let at = control::again(app, app.clock.now(), tries);
        payments::end_again(app.db.pool(), id, Some(at)).await?;
    }
    Ok(())
}

async fn learn(app: &App, id: PaymentId) -> Result<bool, Error> {
    holds::learn(app, &control::find(app, id).await?).await
}

async fn close(app: &App, id: PaymentId) -> Result<bool, Error> {
    holds::close(app, &control::find(app, id).await?).await
}

async fn take(app: &App, id: PaymentId) -> Result<(), Error> {
    holds::settle(app, id).await?;
    Ok(())
}
