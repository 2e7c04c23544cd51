//! One consumer of all three topics: a batch of it is one transaction.

use std::sync::{Arc, LazyLock};

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Handler, Message},
    telemetry::metrics,
};
use prometheus::IntCounterVec;
use tokio::sync::Notify;

use crate::{domain::Totals, projection::Batch, replies::Replies};

static NEGATIVE: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "totals_negative_bucket",
        "Changes after which a bucket of a campaign was below zero, which must not be.",
        &["bucket"],
    )
});

/// Applies snapshots to the totals.
pub(crate) struct Snapshots {
    pub(crate) db: Db,
    pub(crate) replies: Replies,
    /// Told after a change that is to be announced.
    pub(crate) changed: Arc<Notify>,
    pub(crate) clock: Clock,
}

impl Handler for Snapshots {
    async fn handle(&self, messages: &[Message]) -> Result<(), Fault> {
        let batch = Batch::of(messages)?;
        let mut tx = self.db.begin().await?;
        let changed = batch.apply(&mut tx, self.clock.now()).await?;
        tx.commit().await?;
        if changed.is_empty() {
            return Ok(());
        }
        self.changed.notify_one();
        changed.iter().for_each(alarm);
        self.replies.refresh(changed).await;
        Ok(())
    }
}

/// Shows what must not be instead of hiding it behind a zero.
fn alarm(totals: &Totals) {
    for bucket in totals.buckets.negative() {
        NEGATIVE.with_label_values(&[bucket]).inc();
        tracing::error!(
            campaign.id = %totals.campaign_id,
            version = totals.version,
            bucket,
            "a bucket of the totals is negative"
        );
    }
}
