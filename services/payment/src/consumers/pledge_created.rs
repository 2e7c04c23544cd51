//! `pledge.created`: a pledge gets its first payment, unless its ticket was faster. `pledge.cancel_requested`: the
//! donor calls it off. Each is a whole snapshot, so the second may come first, or alone.

use std::collections::BTreeMap;

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Message},
    telemetry,
};
use common::{
    events::{Event, PledgeEvent, PledgeKind},
    ids::{PaymentId, PledgeId},
    outbox,
};

use crate::{
    db::payments::{self, NewPayment},
    domain::{Origin, Payment},
};

/// Makes payments of pledges, and calls them off. Hearing of one again changes nothing: its payment's id is a function of its own.
pub struct PledgeCreated {
    db: Db,
    clock: Clock,
}

impl PledgeCreated {
    /// Writes through this database, by this clock.
    pub fn new(db: &Db, clock: &Clock) -> Self {
        Self {
            db: db.clone(),
            clock: clock.clone(),
        }
    }

    /// Makes the payments of the pledges that are not there yet.
    pub async fn hear(&self, batch: impl Iterator<Item = &Message>) -> Result<(), Fault> {
        let now = self.clock.now();
        // The same pledge twice in a batch is one payment, told once.
        let mut first: BTreeMap<PaymentId, (NewPayment, outbox::Row)> = BTreeMap::new();
        let mut withdrawn: Vec<PledgeId> = Vec::new();
        for message in batch {
            let pledge: PledgeEvent = message.json()?;
            match pledge.kind {
                PledgeKind::Created => {}
                PledgeKind::CancelRequested => withdrawn.push(pledge.pledge_id),
                PledgeKind::Updated => continue,
            }
            let origin = origin(pledge, message)?;
            let (payment, created) = Payment::first(origin, now);
            let told = outbox::Row::of(&created, payment.traceparent.clone());
            let new = NewPayment {
                frozen: payment.frozen(),
                payment,
                retry_at: None,
                client: None,
            };
            first.entry(created.payment_id).or_insert((new, told));
        }
        if first.is_empty() {
            return Ok(());
        }
        let new: Vec<_> = first.values().map(|(new, _)| new).collect();
        let mut tx = self.db.begin().await?;
        let made = payments::insert_new(&mut tx, &new).await?;
        let told: Vec<_> = first
            .into_iter()
            .filter(|(id, _)| made.contains(id))
            .map(|(_, (_, told))| told)
            .collect();
        outbox::insert_all(&mut tx, &told).await?;
        // What is called off is cancelled by the worker that serves all endings, outside of any transaction.
        payments::withdraw(&mut tx, &withdrawn, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The facts of the pledge, and its trace, which the payment goes on with.
fn origin(pledge: PledgeEvent, message: &Message) -> Result<Origin, Fault> {
    let span = telemetry::span_from(pledge.kind(), message.header("traceparent"));
    let traceparent = span.in_scope(telemetry::traceparent);
    let traceparent = traceparent.or_else(|| message.header("traceparent").map(str::to_owned));
    Origin::of(pledge, traceparent).map_err(Fault::permanent)
}
