//! Compares the totals with the payments all the time, a page at a time.

use std::time::Duration;

use chassis::{clock::Clock, db::Db, kafka::Fault, lifecycle::Lifecycle};
use uuid::Uuid;

use crate::{
    db::drift,
    drift::{Memory, Shared},
    payments::Payments,
};

/// How many payments are compared at once.
const PAGE: u32 = 500;

/// What the auditor needs.
pub(crate) struct Auditor {
    pub(crate) db: Db,
    pub(crate) payments: Payments,
    pub(crate) clock: Clock,
    /// Between two pages.
    pub(crate) pause: Duration,
    /// How long a snapshot may take to be contained.
    pub(crate) patience: chrono::Duration,
    pub(crate) findings: Shared,
}

/// Starts the worker.
pub(crate) fn spawn(auditor: Auditor, life: &Lifecycle) {
    let running = life.clone();
    life.spawn("audit", async move {
        let mut memory = Memory::new(auditor.patience, auditor.findings.clone());
        let mut after = Uuid::nil();
        while !running.is_stopping() {
            match auditor.look(&mut memory, after).await {
                Ok(next) => after = next,
                Err(error) => tracing::warn!(%error, "the totals cannot be compared just now"),
            }
            tokio::select! {
                () = tokio::time::sleep(auditor.pause) => {}
                () = running.stopping() => {}
            }
        }
        Ok(())
    });
}

impl Auditor {
    /// Compares a page, and the campaigns after the last one; gives after which payment the next page begins.
    async fn look(&self, memory: &mut Memory, after: Uuid) -> Result<Uuid, Fault> {
        // In this order: whatever happens in between makes the totals newer than the page, never older.
        let page = self.payments.after(after, PAGE).await?;
        let to = page.next.map_or(Uuid::max(), common::ids::PaymentId::get);
        let applied = drift::applied(self.db.pool(), after, to).await?;
        memory.look(&page.payments, &applied, self.clock.now());
        if page.next.is_some() {
            return Ok(to);
        }
        let mut compared = Vec::new();
        let mut last = Uuid::nil();
        loop {
            let some = drift::campaigns(self.db.pool(), last).await?;
            let Some(end) = some.last() else { break };
            last = end.campaign_id;
            // What is as it should be is not kept: there may be very many.
            compared.extend(some.into_iter().filter(|one| one.differs() || one.frozen));
        }
        memory.end_pass(compared, self.clock.now());
        Ok(Uuid::nil())
    }
}
