//! One consumer of all three topics: a batch of it is one transaction.

use std::sync::Arc;

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Handler, Message},
};
use tokio::sync::Notify;

use crate::{alarm, drift, projection::Batch, replies::Replies};

/// Applies snapshots to the totals.
pub(crate) struct Snapshots {
    pub(crate) db: Db,
    pub(crate) replies: Replies,
    /// Told after a change that is to be announced.
    pub(crate) changed: Arc<Notify>,
    pub(crate) clock: Clock,
    /// Told what has come.
    pub(crate) findings: drift::Shared,
}

impl Handler for Snapshots {
    async fn handle(&self, messages: &[Message]) -> Result<(), Fault> {
        let batch = Batch::of(messages)?;
        let mut tx = self.db.begin().await?;
        let changed = batch.apply(&mut tx, self.clock.now()).await?;
        tx.commit().await?;
        if let Some(newest) = batch.newest_payment() {
            self.findings.hear(newest);
        }
        if changed.is_empty() {
            return Ok(());
        }
        self.changed.notify_one();
        changed.iter().for_each(alarm::negative);
        self.replies.refresh(changed).await;
        Ok(())
    }
}
