//! Payment snapshots move a pledge's status, newest first, however they arrive.

use std::collections::BTreeMap;

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Handler, Message},
};
use common::{
    events::{PaymentEvent, PledgeKind},
    ids::PledgeId,
    outbox,
    payment::State,
};

use crate::{
    db::{self, pledges::Shown},
    domain::status_of,
};

/// Shows payments on their pledges.
pub struct Payments {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
}

impl Handler for Payments {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        let mut newest: BTreeMap<PledgeId, (Shown, Option<&str>)> = BTreeMap::new();
        for message in batch {
            let event: PaymentEvent = message.json()?;
            // A pledge is born PENDING, and a first attempt never comes back to it.
            if event.attempt == 1 && event.state == State::Pending {
                continue;
            }
            let shown = Shown {
                pledge_id: event.pledge_id,
                attempt: event.attempt,
                version: event.version,
                status: status_of(event.state),
            };
            let newer = newest.get(&event.pledge_id).is_none_or(|(known, _)| {
                (known.attempt, known.version) < (shown.attempt, shown.version)
            });
            if newer {
                newest.insert(event.pledge_id, (shown, message.header("traceparent")));
            }
        }
        if newest.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let shown: Vec<Shown> = newest.values().map(|(shown, _)| shown.clone()).collect();
        let mut tx = self.db.begin().await?;
        let changed = db::pledges::show(&mut tx, &shown, now).await?;
        let rows: Vec<outbox::Row> = changed
            .iter()
            .map(|pledge| {
                let traceparent = newest
                    .get(&pledge.id)
                    .and_then(|(_, traceparent)| traceparent.map(str::to_owned));
                outbox::Row::of(&pledge.event(PledgeKind::Updated, now), traceparent)
            })
            .collect();
        outbox::insert_all(&mut tx, &rows).await?;
        tx.commit().await?;
        Ok(())
    }
}
