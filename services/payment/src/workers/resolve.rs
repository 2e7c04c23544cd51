//! Repeats calls to the provider whose answer never came, so that a crash or a timeout ends with one intent that we
//! know of, whether or not the donor comes back.

use chassis::clock::Clock;
use chrono::Duration;

use crate::{
    App, alarm,
    db::{lookup, payments},
    error::Error,
};

/// How many calls one round takes.
const BATCH: i64 = 16;
/// The provider remembers a key for a day; after that the same call would open a second intent.
const REMEMBERED: Duration = Duration::hours(23);
/// The longest pause between two tries.
const PAUSE: Duration = Duration::minutes(10);

/// Resolves at start, and then at the configured interval, until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    while !app.life.is_stopping() {
        if let Err(error) = round(&app).await {
            tracing::warn!(%error, "the resolver pauses");
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.resolve_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}

/// One round, and how many calls it took up.
///
/// # Errors
/// When the database is away.
pub async fn round(app: &App) -> Result<usize, Error> {
    let now = app.clock.now();
    let due =
        payments::take_unanswered(app.db.pool(), now, app.settings.resolve_after, BATCH).await?;
    let taken = due.len();
    for (id, tries, requested_at) in due {
        if too_old(&app.clock, requested_at) {
            payments::give_up(app.db.pool(), id).await?;
            alarm::raise(alarm::UNRESOLVED_INTENT, Some(id), "no answer for a day");
            continue;
        }
        let Some(called) = lookup::find_called(app.db.pool(), id).await? else {
            continue;
        };
        match app.charges.ask_anyway(Box::new(called)).await {
            Ok(asked) => {
                app.charges.finish(&asked, None).await?;
                tracing::info!(payment.id = %id, "the intent of a call without an answer was resolved");
            }
            Err(error) => {
                let pause = app.settings.resolve_after
                    * 2_i32.saturating_pow(tries.clamp(0, 16).unsigned_abs());
                payments::unanswered(app.db.pool(), id, now + pause.min(PAUSE)).await?;
                tracing::warn!(payment.id = %id, %error, tries, "a call to the provider has still no answer");
            }
        }
    }
    Ok(taken)
}

fn too_old(clock: &Clock, requested_at: chrono::DateTime<chrono::Utc>) -> bool {
    clock.now() - requested_at > REMEMBERED
}
