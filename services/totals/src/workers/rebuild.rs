//! Goes on with whatever build is running, whoever began it.

use std::{sync::Arc, time::Duration};

use chassis::lifecycle::Lifecycle;
use tokio::sync::Notify;

use crate::rebuild::Rebuilder;

/// How often to look without being told, for what another process began.
const LOOK: Duration = Duration::from_secs(1);

/// Starts the worker; `begun` wakes it.
pub(crate) fn spawn(rebuilder: Rebuilder, begun: &Arc<Notify>, life: &Lifecycle) {
    let (begun, running) = (begun.clone(), life.clone());
    life.spawn("rebuild", async move {
        while !running.is_stopping() {
            match rebuilder.step().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the rebuild waits"),
            }
            tokio::select! {
                () = begun.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = running.stopping() => {}
            }
        }
        Ok(())
    });
}
