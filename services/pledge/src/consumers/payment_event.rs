//! Payment snapshots move a pledge's status, newest first, however they arrive; each is a step of its story, and the
//! first with money makes its receipt.

use std::{collections::BTreeMap, time::Duration};

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Handler, Message},
};
use common::{
    events::{PaymentEvent, PaymentKind, PledgeKind},
    ids::PledgeId,
    outbox,
    payment::State,
};

use crate::{
    db::{self, pledges::Shown},
    domain::{receipts::Captured, status_of, timeline::Happening},
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
    newest: BTreeMap<PledgeId, (Shown, Option<&'a str>)>,
    happened: Vec<(PledgeId, Happening)>,
    /// The first snapshot with money of each pledge, with its try and version.
    taken: BTreeMap<PledgeId, ((i32, i64), Captured)>,
}

impl<'a> News<'a> {
    fn add(&mut self, event: &PaymentEvent, traceparent: Option<&'a str>) {
        let place = (event.attempt, event.version);
        self.happened
            .extend(Happening::of(event, traceparent).map(|step| (event.pledge_id, step)));
        if let Some(captured) = Captured::of(event) {
            let first = self.taken.get(&event.pledge_id);
            if first.is_none_or(|(known, _)| place < *known) {
                self.taken.insert(event.pledge_id, (place, captured));
            }
        }
        // A pledge is born PENDING, and a first attempt comes back to it only where its news was forgotten.
        let is_anew = event.kind == PaymentKind::Restated;
        if event.attempt == 1 && event.state == State::Pending && !is_anew {
            return;
        }
        let shown = Shown {
            pledge_id: event.pledge_id,
            attempt: event.attempt,
            version: event.version,
            status: status_of(event.state),
            refunded: event.refunded,
        };
        let known = self.newest.get(&event.pledge_id);
        if known.is_none_or(|(known, _)| (known.attempt, known.version) < place) {
            self.newest.insert(event.pledge_id, (shown, traceparent));
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
        if news.happened.is_empty() && news.newest.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let shown: Vec<Shown> = news
            .newest
            .values()
            .map(|(shown, _)| shown.clone())
            .collect();
        let taken: Vec<&Captured> = news.taken.values().map(|(_, taken)| taken).collect();
        let mut tx = self.db.begin().await?;
        let changed = db::pledges::show(&mut tx, &shown, now).await?;
        db::timeline::note(&mut tx, &news.happened).await?;
        let rows: Vec<outbox::Row> = changed
            .iter()
            .map(|pledge| {
                let traceparent = news
                    .newest
                    .get(&pledge.id)
                    .and_then(|(_, traceparent)| traceparent.map(str::to_owned));
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
