//! Totals built anew from what the payment service has, while everything goes on.
//!
//! A run fills a generation of its own, page by page, and each page commits together with how far the run is. From the
//! moment that the run is known, the consumer applies each payment to that generation as well; versions tell which of a
//! page and an event is newer. A payment that was told before is in the pages, which are read later; one that is told
//! after is applied by the consumer: none is missed. When all pages are in, one transaction locks out the consumer and
//! puts the new generation in the place of the old. Whoever dies at any line leaves the one or the other, and any
//! replica goes on.

use std::sync::Arc;

use chassis::{clock::Clock, db::Db, failpoint, kafka::Fault};
use common::{events::PaymentEvent, ids::PaymentId};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    alarm,
    db::{
        donors,
        rebuilds::{self, Build, Step},
        shadow, totals, watermarks,
    },
    payments::Payments,
    projection::Batch,
    replies::Replies,
};

/// Builds generations.
#[derive(Clone)]
pub(crate) struct Rebuilder {
    pub(crate) db: Db,
    pub(crate) payments: Payments,
    pub(crate) replies: Replies,
    /// Told after a change that is to be announced.
    pub(crate) changed: Arc<Notify>,
    pub(crate) clock: Clock,
    /// How many payments a page has at most.
    pub(crate) page: u32,
}

impl Rebuilder {
    /// Brings the running build on by a step, or clears away what an earlier one has replaced. Gives whether there was
    /// anything to do.
    pub(crate) async fn step(&self) -> Result<bool, Fault> {
        let Some(run) = rebuilds::building(self.db.pool()).await? else {
            return self.clear().await;
        };
        if !run.seeded {
            self.seed(&run).await?;
        } else if run.complete {
            self.put_in_place(&run).await?;
        } else {
            self.read(&run).await?;
        }
        Ok(true)
    }

    /// Gives every known campaign its place, so that one without payments ends with nothing.
    async fn seed(&self, run: &Build) -> Result<(), Fault> {
        let mut connection = self.db.pool().acquire().await.map_err(Fault::from)?;
        if let Some(campaign) = run.campaign_id {
            shadow::seed_one(&mut connection, run.generation, campaign).await?;
        } else {
            let mut after = Some(Uuid::nil());
            while let Some(last) = after {
                after = shadow::seed(&mut connection, run.generation, last).await?;
            }
        }
        rebuilds::seeded(&mut connection, run.generation).await?;
        Ok(())
    }

    /// Reads the next page and applies it.
    async fn read(&self, run: &Build) -> Result<(), Fault> {
        let page = self.payments.after(run.after, self.page).await?;
        let complete = page.next.is_none();
        match self
            .apply(run, run.after, &page.payments, complete, false)
            .await
        {
            Err(Fault::Permanent(_)) => {}
            other => return other.map(|_| ()),
        }
        // One of them can never be counted, as the consumer has set it aside: the others are applied without it.
        let mut from = run.after;
        for (n, payment) in page.payments.iter().enumerate() {
            let complete = complete && n + 1 == page.payments.len();
            let one = std::slice::from_ref(payment);
            let applied = match self.apply(run, from, one, complete, false).await {
                Err(Fault::Permanent(error)) => {
                    tracing::error!(
                        payment.id = %payment.payment_id,
                        error = format!("{error:#}"),
                        "a rebuild cannot count a payment"
                    );
                    self.apply(run, from, one, complete, true).await?
                }
                other => other?,
            };
            if !applied {
                return Ok(());
            }
            from = payment.payment_id.get();
        }
        Ok(())
    }

    /// Applies payments together with how far the run is then; `skip` only notes them. Gives false when another process
    /// was first.
    async fn apply(
        &self,
        run: &Build,
        from: Uuid,
        payments: &[PaymentEvent],
        complete: bool,
        skip: bool,
    ) -> Result<bool, Fault> {
        let count = i64::try_from(payments.len()).unwrap_or(i64::MAX);
        let last = payments.last().map(|last| last.payment_id);
        let step = Step {
            from,
            to: last.map_or(from, PaymentId::get),
            complete,
            payments: count,
            skipped: if skip { count } else { 0 },
        };
        let mut tx = self.db.begin().await?;
        if !rebuilds::step(&mut tx, run.generation, &step).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        if !skip {
            let concerned = payments.iter().filter(|payment| {
                run.campaign_id
                    .is_none_or(|only| only == payment.campaign_id.get())
            });
            let batch = Batch::read(concerned.cloned());
            batch
                .build(&mut tx, run.generation, self.clock.now())
                .await?;
        }
        failpoint!("totals.rebuild_before_page_commit");
        tx.commit().await?;
        failpoint!("totals.rebuild_after_page_commit");
        Ok(true)
    }

    /// Puts the new generation in the place of the old, with nobody applying payments meanwhile.
    async fn put_in_place(&self, run: &Build) -> Result<(), Fault> {
        let mut tx = self.db.begin().await?;
        rebuilds::lock_out(&mut tx).await?;
        let now = self.clock.now();
        if !rebuilds::finish(&mut tx, run.generation, now).await? {
            tx.rollback().await?;
            return Ok(());
        }
        shadow::retire(&mut tx, run.generation).await?;
        let rows = totals::replace(&mut tx, run.generation, now).await?;
        failpoint!("totals.rebuild_before_swap_commit");
        tx.commit().await?;
        failpoint!("totals.rebuild_after_swap_commit");
        tracing::info!(
            rebuild.id = %run.run_id,
            campaigns = rows.len(),
            payments = run.payments,
            skipped = run.skipped,
            "the totals were built anew"
        );
        rows.iter().for_each(alarm::negative);
        self.changed.notify_one();
        self.replies.refresh(rows).await;
        Ok(())
    }

    /// Deletes some of what a generation has left behind.
    async fn clear(&self) -> Result<bool, Fault> {
        let mut connection = self.db.pool().acquire().await.map_err(Fault::from)?;
        let Some((generation, campaign, old)) = shadow::superfluous(&mut connection).await? else {
            return Ok(false);
        };
        while !watermarks::discard(&mut connection, campaign, old).await? {}
        while !donors::discard(&mut connection, campaign, old).await? {}
        shadow::forget(&mut connection, generation, campaign).await?;
        Ok(true)
    }
}
