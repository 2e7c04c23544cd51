//! Repeats what Redis did not take, so that it never serves an old version for long after it was away.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;

use crate::replies::Replies;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Starts the worker.
pub(crate) fn spawn(replies: &Replies, life: &Lifecycle) {
    let (replies, running) = (replies.clone(), life.clone());
    life.spawn("refresh", async move {
        loop {
            tokio::select! {
                () = running.stopping() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => replies.refresh_again().await,
            }
        }
    });
}
