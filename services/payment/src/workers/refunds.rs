//! Looks after refunds on their way: repeats calls without an answer, and sees what became of those that wait at the
//! provider, whether or not its webhooks come.

use crate::{App, db::refunds, error::Error, refunding};

/// How many refunds one round takes.
const BATCH: i64 = 16;

/// Looks at start, and then at the resolver's interval, until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    while !app.life.is_stopping() {
        if let Err(error) = round(&app).await {
            tracing::warn!(%error, "refunds wait");
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.resolve_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}

async fn round(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let due = refunds::take_due(app.db.pool(), now, app.settings.resolve_after, BATCH).await?;
    for refund in due {
        if let Err(error) = refunding::look_after(app, &refund).await {
            tracing::warn!(refund.id = %refund.refund_id, %error, "a refund is looked at again later");
        }
    }
    Ok(())
}
