//! The way in: many donors' payments, found or made, and their calls noted before they are made, in one commit.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration as StdDuration,
};

use chassis::clock::Clock;
use chrono::Duration;
use common::{
    group_commit::Batch,
    idempotency::{self, Claim, Reply},
    ids::{PaymentId, PledgeId},
    outbox,
    payment::State,
};
use sqlx::PgConnection;

use crate::{
    db::{
        lookup,
        payments::{self, NewPayment},
    },
    domain::{Called, Outcome},
};

/// Somebody who may pay for a pledge.
pub struct Opening {
    /// The key of the request, where it has one.
    pub claim: Option<Claim>,
    /// The pledge.
    pub pledge: PledgeId,
    /// Its payment, to be made if it is not there: whoever has a ticket has its facts.
    pub new: Option<New>,
}

/// A payment to be made, and the event that tells of it.
pub struct New {
    /// The payment.
    pub payment: NewPayment,
    /// Its event.
    pub created: outbox::Row,
}

/// What there is to open.
pub enum Opened {
    /// The pledge's payment, ready to be opened at the provider if it can still be paid.
    Found(Box<Called>),
    /// There is none, and no ticket to make it by.
    Absent,
    /// The key was used before, for the same body: this was answered.
    Replayed(Reply),
    /// The key was used before, for another body.
    KeyReused,
}

/// The writer of openings.
pub struct Openings {
    clock: Clock,
    resolve_after: Duration,
}

impl Openings {
    /// Notes calls by this clock; they are repeated when they had no answer for so long.
    pub fn new(clock: Clock, resolve_after: Duration) -> Self {
        Self {
            clock,
            resolve_after,
        }
    }
}

impl Batch for Openings {
    type Item = Opening;
    type Outcome = Opened;
    const TRANSACTION: bool = true;
    // It is no twin that may hold the row, but our own consumer, which is about to commit a batch.
    const PATIENCE: StdDuration = StdDuration::from_secs(1);

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[Opening],
    ) -> Result<Vec<Opened>, sqlx::Error> {
        let now = self.clock.now();
        let scopes: Vec<_> = items
            .iter()
            .filter_map(|item| Some(item.claim.as_ref()?.scope()))
            .collect();
        let stored = match scopes.as_slice() {
            [] => HashMap::new(),
            scopes => idempotency::stored(&mut *connection, scopes).await?,
        };
        let answered = |item: &Opening| {
            let claim = item.claim.as_ref()?;
            let earlier = stored.get(&claim.scope())?.clone();
            Some(
                earlier
                    .reply_for(claim)
                    .map_or(Opened::KeyReused, Opened::Replayed),
            )
        };
        let asking = || items.iter().filter(|item| answered(item).is_none());
        // Two clicks in one batch make one payment; in id order, as everybody locks them.
        let mut new: BTreeMap<PaymentId, &New> = BTreeMap::new();
        for item in asking() {
            if let Some(made) = &item.new {
                new.entry(made.payment.payment.payment_id).or_insert(made);
            }
        }
        let rows: Vec<&NewPayment> = new.values().map(|new| &new.payment).collect();
        let made = payments::insert_new(connection, &rows).await?;
        let is_made = |new: &&&New| made.contains(&new.payment.payment.payment_id);
        let told: Vec<_> = new
            .values()
            .filter(is_made)
            .map(|new| new.created.clone())
            .collect();
        outbox::insert_all(connection, &told).await?;
        let mut found: HashMap<PledgeId, Called> = new
            .values()
            .filter(is_made)
            .map(|new| called(new))
            .collect();
        let rest: Vec<PledgeId> = asking()
            .map(|item| item.pledge)
            .filter(|pledge| !found.contains_key(pledge))
            .collect();
        let there = lookup::last_attempts(connection, &rest).await?;
        let due: Vec<PaymentId> = there
            .iter()
            .map(|called| &called.payment)
            .filter(|payment| {
                payment.outcome == Outcome::None
                    && payment.state == State::Pending
                    && payment.expires_at > now
            })
            .map(|payment| payment.payment_id)
            .collect();
        payments::request(connection, &due, now, now + self.resolve_after).await?;
        found.extend(
            there
                .into_iter()
                .map(|called| (called.payment.pledge_id, called)),
        );
        let outcome = |item: &Opening| {
            answered(item).unwrap_or_else(|| match found.get(&item.pledge) {
                Some(called) => Opened::Found(Box::new(called.clone())),
                None => Opened::Absent,
            })
        };
        Ok(items.iter().map(outcome).collect())
    }
}

fn called(new: &New) -> (PledgeId, Called) {
    let NewPayment {
        payment, frozen, ..
    } = &new.payment;
    let called = Called {
        payment: payment.clone(),
        call: frozen.clone(),
    };
    (payment.pledge_id, called)
}
