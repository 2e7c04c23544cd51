//! `pledge.created`: a pledge gets its first payment, unless its ticket was faster.

use std::collections::BTreeMap;

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Handler, Message},
    telemetry,
};
use common::{
    events::{Event, PledgeEvent, PledgeKind},
    ids::PaymentId,
    outbox,
};

use crate::{
    db::payments::{self, NewPayment},
    domain::{Origin, Payment},
};

/// Makes payments of pledges. Hearing of one again changes nothing: its payment's id is a function of its own.
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
}

impl Handler for PledgeCreated {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        let now = self.clock.now();
        // The same pledge twice in a batch is one payment, told once.
        let mut first: BTreeMap<PaymentId, (NewPayment, outbox::Row)> = BTreeMap::new();
        for message in batch {
            let pledge: PledgeEvent = message.json()?;
            if pledge.kind != PledgeKind::Created {
                continue;
            }
            let (payment, created) = Payment::first(origin(pledge, message), now);
            let told = outbox::Row::of(&created, payment.traceparent.clone());
            let new = NewPayment {
                frozen: payment.frozen(),
                payment,
                retry_at: None,
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
        tx.commit().await?;
        Ok(())
    }
}

/// The facts of the pledge, and its trace, which the payment goes on with.
fn origin(pledge: PledgeEvent, message: &Message) -> Origin {
    let span = telemetry::span_from(pledge.kind(), message.header("traceparent"));
    let traceparent = span.in_scope(telemetry::traceparent);
    Origin {
        traceparent: traceparent.or_else(|| message.header("traceparent").map(str::to_owned)),
        pledge_id: pledge.pledge_id,
        campaign_id: pledge.campaign_id,
        donor_id: pledge.donor_id,
        donor_ref: pledge.donor_ref,
        contact_id: pledge.contact_id,
        amount: pledge.amount,
        capture: pledge.capture,
        expires_at: pledge.expires_at,
    }
}
