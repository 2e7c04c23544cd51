//! `cfa.totals.events.v1`: what watchers see.

use chassis::kafka::{Fault, Handler, Message};
use common::events::TotalsUpdated;

use crate::{App, feed::Feed};

/// Shows totals to watchers. Each process reads the topic for itself, from the moment it starts.
pub struct Totals(Feed);

impl Totals {
    /// Feeds the sockets of `app`.
    pub fn new(app: &App) -> Self {
        Self(app.feed.clone())
    }
}

impl Handler for Totals {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        for message in batch {
            let shown = message
                .json::<TotalsUpdated>()
                .and_then(|totals| Ok(self.0.show(&totals)?));
            if let Err(error) = shown {
                // The next message of the campaign replaces it, and the others must not wait.
                tracing::warn!(%error, message.offset, "totals cannot be shown");
            }
        }
        Ok(())
    }
}
