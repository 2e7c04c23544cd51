//! Gives back what campaigns took that were called off.

use crate::{
    App,
    standing::{self, Pacer},
};

/// Looks at start, and then at the resolver's interval, until the process stops.
///
/// # Errors
/// Never: whatever fails is tried again.
pub async fn run(app: App) -> anyhow::Result<()> {
    let mut pacer = Pacer::new(app.settings.pace.pause);
    while !app.life.is_stopping() {
        if let Err(error) = standing::round(&app, &mut pacer).await {
            tracing::warn!(%error, "batches of refunds wait");
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.resolve_every) => {}
            () = app.life.stopping() => {}
        }
    }
    Ok(())
}
