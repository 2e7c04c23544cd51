//! Works through the runs that match the provider's account with the books: one a day by itself, and those that admins
//! ask for.

use chrono::Duration;
use uuid::Uuid;

use crate::{
    App,
    db::runs::{self, Run},
    error::Error,
    matching,
    provider::patiently,
};

/// How long whoever works at a run has it; after a crash it is taken up again.
const HOLD: Duration = Duration::minutes(30);

/// Works at the configured interval until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    while !app.life.is_stopping() {
        if let Err(error) = patiently(round(&app)).await {
            tracing::warn!(%error, "the provider's account is not matched just now");
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.resolve_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}

async fn round(app: &App) -> Result<(), Error> {
    daily(app).await?;
    let now = app.clock.now();
    let Some(run) = runs::take(app.db.pool(), now, now + HOLD).await? else {
        return Ok(());
    };
    let id = run.id;
    let run = match matching::work(app, run).await {
        Ok(run) => run,
        Err(error) => {
            let soon = app.clock.now() + app.settings.resolve_after;
            runs::give_back(app.db.pool(), id, soon).await?;
            return Err(error);
        }
    };
    tracing::info!(
        run.id = %run.id,
        run.matched,
        run.missing_local,
        run.missing_psp,
        run.amount_diff,
        "the provider's account was matched with the books"
    );
    Ok(())
}

/// Asks for the day's run when its time has come. Its id is that of its time, so that of several processes one asks.
async fn daily(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let day = Duration::from_std(app.settings.cadences.match_every).unwrap_or(Duration::days(1));
    let millis = day.num_milliseconds().max(1);
    let until = now
        .timestamp_millis()
        .div_euclid(millis)
        .saturating_mul(millis);
    let Some(until) = chrono::DateTime::from_timestamp_millis(until) else {
        return Ok(());
    };
    let last = runs::last_daily(app.db.pool()).await?;
    if last.is_some_and(|last| last >= until) {
        return Ok(());
    }
    let name = format!("daily {}", until.timestamp_millis());
    let run = Run {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()),
        state: "QUEUED".to_owned(),
        cause: "daily".to_owned(),
        from_time: last.unwrap_or(until - day),
        until_time: until,
        matched: 0,
        missing_local: 0,
        missing_psp: 0,
        amount_diff: 0,
        detail: None,
        created_at: now,
        finished_at: None,
    };
    let mut tx = app.db.begin().await?;
    runs::insert(&mut tx, &run, None).await?;
    tx.commit().await?;
    Ok(())
}
