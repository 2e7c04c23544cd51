//! What a payment's refunds and disputes come to. Pure: decided on the rows as they are locked.
//!
//! The provider's own list is what counts, whoever made a refund and however the answer to our call went. A payment's
//! amounts are always reckoned anew from all rows, so that nothing depends on the order in which things are heard.

use chrono::{DateTime, Utc};
use common::{
    events::PaymentKind,
    money::Money,
    payment::{Event, State, Step, apply},
};
use uuid::Uuid;

use super::{
    Change, Exception, Halt, Kind, Outcome, Payment, Post, Told, Transition,
    booking::Moved,
    dispute::{Dispute, SeenDispute},
    refund::{Cause, Refund, RefundStatus, SeenRefund, Wish},
    unread::Unread,
};

/// The refunds and disputes of one payment.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Every refund, the oldest first.
    pub refunds: Vec<Refund>,
    /// Every dispute, the oldest first.
    pub disputes: Vec<Dispute>,
}

/// What the provider lists.
#[derive(Clone, Debug)]
pub struct Look {
    /// The oldest first.
    pub refunds: Vec<SeenRefund>,
    /// When the disputes were asked for.
    pub listed_at: DateTime<Utc>,
    /// The oldest first.
    pub disputes: Vec<SeenDispute>,
    /// What of both cannot be understood.
    pub unread: Vec<Unread>,
}

/// A change of a payment with what caused it.
#[derive(Clone, Debug)]
pub struct Caused {
    /// The change.
    pub change: Change,
    /// Such as `refund.succeeded`.
    pub cause: String,
}

/// What a look taught us, all of which is to be written in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// The payment's changes, in their order.
    pub changes: Vec<Caused>,
    /// What dispute's movements are in the books.
    pub posts: Vec<Post>,
    /// Refunds that are new or changed.
    pub refunds: Vec<Refund>,
    /// Disputes that are new or changed.
    pub disputes: Vec<Dispute>,
    /// Matters for a person.
    pub opened: Vec<Exception>,
    /// Matters that are settled.
    pub closed: Vec<(Kind, String)>,
}

/// Where a payment's money is to be, and why that changed.
pub(super) struct Back<'a> {
    pub(super) object: &'a str,
    pub(super) cause: String,
    pub(super) settled: bool,
    /// What disputes took beyond what was left of the payment, before.
    pub(super) uncovered: i64,
}

impl File {
    /// What no other refund may have, in minor units.
    pub fn reserved(&self) -> i64 {
        let reserving = self.refunds.iter().filter(|r| r.status.reserves());
        reserving.map(|refund| refund.amount.minor).sum()
    }

    /// What went back, in minor units.
    pub fn refunded(&self) -> i64 {
        let gone = |refund: &&Refund| refund.status == RefundStatus::Succeeded;
        let gone = self.refunds.iter().filter(gone);
        gone.map(|refund| refund.amount.minor).sum()
    }

    /// What disputes took for good, in minor units.
    pub fn lost(&self) -> i64 {
        self.disputes.iter().map(Dispute::lost).sum()
    }

    /// Whether something is still on its way or undecided.
    pub fn is_open(&self) -> bool {
        self.refunds.iter().any(|refund| refund.status.is_open())
            || self
                .disputes
                .iter()
                .any(|dispute| !dispute.status.is_closed())
    }

    /// What may still be given back, in minor units.
    ///
    /// # Errors
    /// [`Halt::DisputeOpen`].
    pub fn left(&self, payment: &Payment) -> Result<i64, Halt> {
        if self.disputes.iter().any(|d| d.status.blocks_refunds()) {
            return Err(Halt::DisputeOpen);
        }
        Ok((payment.captured - self.reserved()).max(0))
    }

    /// A new refund of the payment, which is to be stored before the provider is asked.
    ///
    /// # Errors
    /// [`Halt`].
    pub fn refund(
        &self,
        payment: &Payment,
        wish: Wish,
        now: DateTime<Utc>,
    ) -> Result<Refund, Halt> {
        let left = self.left(payment)?;
        let minor = wish.amount.unwrap_or(left);
        let intent = payment.provider_ref.as_deref().ok_or(Halt::Exceeds)?;
        if !(1..=left).contains(&minor) {
            return Err(Halt::Exceeds);
        }
        Ok(Refund::new(payment, intent, minor, wish, now))
    }

    /// Learns what the provider lists. `settled` says whether the payment's money had become available.
    ///
    /// Of a payment whose capture is not known yet nothing is learned: the look comes again after it.
    pub fn learn(
        &mut self,
        payment: &mut Payment,
        look: &Look,
        settled: bool,
        now: DateTime<Utc>,
    ) -> Learned {
        let mut learned = Learned::default();
        if payment.captured == 0 {
            return learned;
        }
        let unread = look.unread.iter();
        learned.opened.extend(unread.map(|it| it.matter(payment)));
        for seen in &look.refunds {
            self.learn_refund(payment, seen, settled, now, &mut learned);
        }
        for seen in &look.disputes {
            self.learn_dispute(payment, seen, look.listed_at, settled, now, &mut learned);
        }
        if payment.refunded == payment.captured {
            let failed = |refund: &&Refund| refund.status == RefundStatus::Failed;
            let failed = self.refunds.iter().filter(failed);
            let matters = failed.map(|refund| (Kind::RefundFailed, refund.refund_id.to_string()));
            learned.closed.extend(matters);
            learned
                .opened
                .retain(|matter| matter.kind != Kind::RefundFailed);
        }
        learned
    }

    /// A refund of ours that the provider will never make.
    pub fn give_up(&mut self, refund_id: Uuid, why: &str, now: DateTime<Utc>) -> Learned {
        let mut learned = Learned::default();
        let ours = |refund: &&mut Refund| refund.refund_id == refund_id;
        let Some(refund) = self.refunds.iter_mut().find(ours) else {
            return learned;
        };
        if refund.psp_refund.is_none() && refund.status.is_open() {
            refund.status = RefundStatus::Failed;
            refund.failure = Some(why.to_owned());
            refund.outcome = Outcome::Known;
            refund.updated_at = now;
            learned.opened.push(failed(refund));
            learned.refunds.push(refund.clone());
        }
        learned
    }

    fn learn_refund(
        &mut self,
        payment: &mut Payment,
        seen: &SeenRefund,
        settled: bool,
        now: DateTime<Utc>,
        learned: &mut Learned,
    ) {
        let before = self.lost() - payment.disputed;
        let at = self.place(payment, seen, now);
        let refund = &mut self.refunds[at];
        // What we gave up for good and the provider made all the same has happened.
        let revived = refund.psp_refund.is_none() && !refund.status.is_open();
        let is_new = refund.outcome != Outcome::Known || refund.psp_refund.is_none() || revived;
        refund.psp_refund = Some(seen.id.clone());
        refund.outcome = Outcome::Known;
        let moves =
            refund.status.may_become(seen.status) || (revived && refund.status != seen.status);
        if !moves && !is_new {
            return;
        }
        if moves {
            refund.status = seen.status;
            refund.failure.clone_from(&seen.failure);
        }
        refund.updated_at = now;
        learned.closed.push((Kind::Quarantined, seen.id.clone()));
        let matter = (Kind::RefundFailed, refund.refund_id.to_string());
        match refund.status {
            RefundStatus::Failed if moves => learned.opened.push(failed(refund)),
            _ if revived => learned.closed.push(matter),
            _ => {}
        }
        learned.refunds.push(refund.clone());
        let cause = format!("refund.{}", refund.status.as_str().to_lowercase());
        let back = Back {
            object: &seen.id,
            cause,
            settled,
            uncovered: before,
        };
        learned.changes.extend(self.reckon(payment, back, now));
    }

    /// Where the refund stands among ours. One that was made in the provider's own tools is added, and so is one of ours
    /// that was forgotten here, under its own id and for its own cause.
    fn place(&mut self, payment: &Payment, seen: &SeenRefund, now: DateTime<Utc>) -> usize {
        let known = |refund: &Refund| refund.psp_refund.as_deref() == Some(&seen.id);
        let named = |refund: &Refund| {
            refund.psp_refund.is_none()
                && Some(refund.refund_id) == seen.refund_id
                && refund.amount.minor == seen.amount
        };
        let place = self.refunds.iter().position(known);
        let place = place.or_else(|| self.refunds.iter().position(named));
        let is_free = |id: &Uuid| self.refunds.iter().all(|refund| refund.refund_id != *id);
        let is_ours = seen.payment_id == Some(payment.payment_id);
        let forgotten = seen.refund_id.filter(|id| is_ours && is_free(id));
        let cause = seen.cause.filter(|_| forgotten.is_some());
        place.unwrap_or_else(|| {
            self.refunds.push(Refund {
                refund_id: forgotten.unwrap_or_else(Uuid::now_v7),
                payment_id: payment.payment_id,
                amount: Money::new(seen.amount, payment.amount.currency),
                reason: None,
                cause: cause.unwrap_or(Cause::Imported),
                status: RefundStatus::Pending,
                failure: None,
                psp_refund: None,
                call: None,
                outcome: Outcome::None,
                requested_at: None,
                tries: 0,
                requested_by: None,
                created_at: now,
                updated_at: now,
            });
            self.refunds.len() - 1
        })
    }

    /// Brings the payment's amounts to what the rows say: a dispute takes what refunds left, and what it took beyond is
    /// the platform's loss.
    pub(super) fn reckon(
        &self,
        payment: &mut Payment,
        back: Back<'_>,
        now: DateTime<Utc>,
    ) -> Option<Caused> {
        let refunded = self.refunded().min(payment.captured);
        let lost = self.lost();
        let disputed = lost.min(payment.captured - refunded);
        let uncovered = (back.uncovered, lost - disputed);
        if (refunded, disputed) == (payment.refunded, payment.disputed)
            && uncovered.0 == uncovered.1
        {
            return None;
        }
        let (previous, before) = (payment.state, payment.standing());
        let event = if refunded == payment.captured {
            Some(Event::FullyRefunded)
        } else if payment.state == State::Refunded {
            Some(Event::RefundFailed {
                settled: back.settled,
            })
        } else {
            None
        };
        let mut transitions = Vec::new();
        if let Some(Step::To { state, .. }) = event.map(|event| apply(payment.state, event)) {
            transitions.push(Transition {
                from: payment.state,
                to: state,
                implied: false,
            });
            payment.state = state;
        }
        let kind = match refunded - payment.refunded {
            1.. if refunded == payment.captured => PaymentKind::Refunded,
            1.. => PaymentKind::PartlyRefunded,
            0 if disputed < payment.disputed || uncovered.1 < uncovered.0 => {
                PaymentKind::DisputeReversed
            }
            0 => PaymentKind::DisputeLost,
            _ => PaymentKind::RefundFailed,
        };
        (payment.refunded, payment.disputed) = (refunded, disputed);
        payment.touch(now);
        let told = Told {
            object: Some(back.object),
            ..Told::default()
        };
        let moved = Moved {
            uncovered,
            ..payment.moved(before, told)
        };
        let change = Change {
            transitions,
            decline: None,
            moved,
            event: payment.snapshot(kind, Some(previous), Vec::new()),
        };
        Some(Caused {
            change,
            cause: back.cause,
        })
    }
}

fn failed(refund: &Refund) -> Exception {
    let why = refund.failure.as_deref().unwrap_or("unknown");
    Exception {
        kind: Kind::RefundFailed,
        subject: refund.refund_id.to_string(),
        payment_id: Some(refund.payment_id),
        amount: Some(refund.amount),
        detail: format!("the money could not be given back: {why}"),
        due_at: None,
    }
}
