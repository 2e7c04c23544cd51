//! The way in: many donors' payments, found or made, and their calls noted before they are made, in one commit.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration as StdDuration,
};

use chassis::clock::Clock;
use chrono::{DateTime, Duration, Utc};
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
        campaigns, lookup,
        payments::{self, NewPayment},
    },
    domain::{Called, Outcome, Payment},
};

/// Somebody who may pay for a pledge.
pub struct Opening {
    /// The key of the request, where it has one.
    pub claim: Option<Claim>,
    /// The pledge.
    pub pledge: PledgeId,
    /// Its payment, to be made if it is not there: whoever has a ticket has its facts.
    pub new: Option<New>,
    /// The network that the payer asks from, as a pseudonym.
    pub client: Option<String>,
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
        let mut there = lookup::last_attempts(connection, &rest).await?;
        // What is to be done with a payment is decided on it as it stands under its lock.
        let open = |payment: &Payment| {
            payment.outcome == Outcome::None
                && payment.state == State::Pending
                && payment.ending.is_none()
                && payment.expires_at > now
        };
        let touched: Vec<PaymentId> = there
            .iter()
            .map(|called| &called.payment)
            .filter(|payment| open(payment) || payment.may_follow(now))
            .map(|payment| payment.payment_id)
            .collect();
        let locked = lookup::lock(connection, &touched, &[]).await?;
        for called in &mut there {
            let id = called.payment.payment_id;
            if let Some(now) = locked.iter().find(|payment| payment.payment_id == id) {
                called.payment = now.clone();
            }
        }
        let due: Vec<(PaymentId, Option<&str>)> = there
            .iter()
            .filter(|called| open(&called.payment))
            .map(|called| {
                let payment = &called.payment;
                let client = asking().find(|item| item.pledge == payment.pledge_id);
                let client = client.and_then(|item| item.client.as_deref());
                (payment.payment_id, client)
            })
            .collect();
        payments::request(connection, &due, now, now + self.resolve_after).await?;
        let ended: Vec<&Payment> = locked.iter().filter(|p| p.may_follow(now)).collect();
        let again = self.follow(connection, &ended, items, now).await?;
        found.extend(
            there
                .into_iter()
                .chain(again)
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

impl Openings {
    /// Makes another attempt of each pledge whose last one has ended, where somebody asks to pay it with a key: a link
    /// to a payment opens that one only. The ended payments are locked, so that each is followed once; and no other
    /// attempt may stand, for an earlier one is revived when its money comes late.
    async fn follow(
        &self,
        connection: &mut PgConnection,
        ended: &[&Payment],
        items: &[Opening],
        now: DateTime<Utc>,
    ) -> Result<Vec<Called>, sqlx::Error> {
        // A new statement sees what whoever had the lock before has done with the other attempts.
        let pledges: Vec<PledgeId> = ended.iter().map(|payment| payment.pledge_id).collect();
        let standing = lookup::standing(&mut *connection, &pledges).await?;
        let mut new = Vec::new();
        for payment in ended {
            if standing.contains(&payment.pledge_id) {
                continue;
            }
            let asked = items
                .iter()
                .find(|item| item.pledge == payment.pledge_id && item.claim.is_some());
            let Some(asked) = asked else { continue };
            let campaign = campaigns::find(&mut *connection, payment.campaign_id).await?;
            if campaign.is_some_and(|campaign| !campaign.takes_gifts(now)) {
                continue;
            }
            let (mut next, created) = payment.again(now);
            next.outcome = Outcome::Requested;
            new.push(New {
                created: outbox::Row::of(&created, next.traceparent.clone()),
                payment: NewPayment {
                    frozen: next.frozen(),
                    payment: next,
                    retry_at: Some(now + self.resolve_after),
                    client: asked.client.clone(),
                },
            });
        }
        let rows: Vec<&NewPayment> = new.iter().map(|new| &new.payment).collect();
        let made = payments::insert_new(connection, &rows).await?;
        let (made, lost): (Vec<_>, Vec<_>) = new
            .iter()
            .partition(|new| made.contains(&new.payment.payment.payment_id));
        let told: Vec<_> = made.iter().map(|new| new.created.clone()).collect();
        outbox::insert_all(connection, &told).await?;
        let lost: Vec<PledgeId> = lost
            .iter()
            .map(|new| new.payment.payment.pledge_id)
            .collect();
        // Somebody else's attempt, which was committed before we had the lock.
        let mut calls = lookup::last_attempts(connection, &lost).await?;
        calls.extend(made.into_iter().map(|new| called(new).1));
        Ok(calls)
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
