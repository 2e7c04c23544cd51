//! Looks after refunds on their way: repeats calls without an answer, and sees what became of those that wait at the
//! provider, whether or not its webhooks come.

use futures::future::join_all;

use crate::{App, db::refunds, domain::Refund, error::Error, refunding};

/// How many refunds one round takes.
const BATCH: i64 = 16;

/// Looks at start, and then at the resolver's interval, until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    while !app.life.is_stopping() {
        match round(&app).await {
            // There may be more.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "refunds wait"),
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.resolve_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}

/// One round, and whether there may be more to do.
async fn round(app: &App) -> Result<bool, Error> {
    let now = app.clock.now();
    let due = refunds::take_due(app.db.pool(), now, app.settings.resolve_after, BATCH).await?;
    join_all(due.iter().map(|refund| look_after(app, refund))).await;
    Ok(i64::try_from(due.len()).is_ok_and(|count| count >= BATCH))
}

async fn look_after(app: &App, refund: &Refund) {
    if let Err(error) = refunding::look_after(app, refund).await {
        tracing::warn!(refund.id = %refund.refund_id, %error, "a refund is looked at again later");
    }
}
