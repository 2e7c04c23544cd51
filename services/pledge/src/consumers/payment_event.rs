//! Payment snapshots move a pledge's status, newest first, however they arrive; each is a step of its story, and the
//! first with money of each payment makes a receipt.

use std::{collections::BTreeMap, time::Duration};

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Handler, Message},
};
use common::{
    events::{PaymentEvent, PaymentKind, PledgeKind},
    ids::{PaymentId, PledgeId},
    outbox,
    payment::State,
};

use crate::{
    db,
    domain::{attempts::Attempt, receipts::Captured, status_of, timeline::Happening},
};

/// Shows payments on their pledges.
pub struct Payments {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
}

/// What a batch of messages means for pledges.
#[derive(Default)]
struct News<'a> {
    /// What is told of each pledge's payments.
    told: BTreeMap<PledgeId, Vec<Attempt>>,
    /// The trace of the last of them.
    traces: BTreeMap<PledgeId, &'a str>,
    happened: Vec<(PledgeId, Happening)>,
    /// The first snapshot with money of each payment, with its version.
    taken: BTreeMap<PaymentId, (i64, Captured)>,
}

impl<'a> News<'a> {
    fn add(&mut self, event: &PaymentEvent, traceparent: Option<&'a str>) {
        self.happened
            .extend(Happening::of(event, traceparent).map(|step| (event.pledge_id, step)));
        if let Some(captured) = Captured::of(event) {
            let first = self.taken.get(&event.payment_id);
            if first.is_none_or(|(known, _)| event.version < *known) {
                self.taken
                    .insert(event.payment_id, (event.version, captured));
            }
        }
        // A pledge is born PENDING, and a first attempt comes back to it only where its news was forgotten.
        let is_anew = event.kind == PaymentKind::Restated;
        if event.attempt == 1 && event.state == State::Pending && !is_anew {
            return;
        }
        self.told.entry(event.pledge_id).or_default().push(Attempt {
            number: event.attempt,
            version: event.version,
            status: status_of(event.state),
            refunded: event.refunded,
        });
        if let Some(traceparent) = traceparent {
            self.traces.insert(event.pledge_id, traceparent);
        }
    }
}

impl Handler for Payments {
    /// The payment itself is looked at by who pays; here its story is written down.
    const GATHER: Duration = Duration::from_millis(50);

    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        let mut news = News::default();
        for message in batch {
            news.add(&message.json()?, message.header("traceparent"));
        }
        if news.happened.is_empty() && news.told.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let taken: Vec<&Captured> = news.taken.values().map(|(_, taken)| taken).collect();
        let mut tx = self.db.begin().await?;
        let changed = db::pledges::show(&mut tx, &news.told, now).await?;
        db::timeline::note(&mut tx, &news.happened).await?;
        let rows: Vec<outbox::Row> = changed
            .iter()
            .map(|pledge| {
                let traceparent = news.traces.get(&pledge.id).map(|&trace| trace.to_owned());
                outbox::Row::of(&pledge.event(PledgeKind::Updated, now), traceparent)
            })
            .collect();
        outbox::insert_all(&mut tx, &rows).await?;
        db::receipts::issue(&mut tx, &taken, now).await?;
        chassis::failpoint!("pledge.before_payments_commit");
        tx.commit().await?;
        Ok(())
    }
}
