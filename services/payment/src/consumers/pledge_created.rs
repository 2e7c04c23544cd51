//! `pledge.created`: a pledge gets its first payment, unless its ticket was faster.

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Handler, Message},
    telemetry,
};
use common::{
    events::{Event, PledgeEvent, PledgeKind},
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
        let mut new = Vec::with_capacity(batch.len());
        let mut told = Vec::with_capacity(batch.len());
        for message in batch {
            let pledge: PledgeEvent = message.json()?;
            if pledge.kind != PledgeKind::Created {
                continue;
            }
            let (payment, created) = Payment::first(origin(pledge, message), now);
            told.push(outbox::Row::of(&created, payment.traceparent.clone()));
            new.push(NewPayment {
                frozen: payment.frozen(),
                payment,
                retry_at: None,
            });
        }
        if new.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        let made = payments::insert_new(&mut tx, &new.iter().collect::<Vec<_>>()).await?;
        let told: Vec<_> = new
            .iter()
            .zip(told)
            .filter(|(new, _)| made.contains(&new.payment.payment_id))
            .map(|(_, created)| created)
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
