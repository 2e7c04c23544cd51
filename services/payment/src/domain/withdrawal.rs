//! What a dispute takes, and what that is in the books. Pure.

use chrono::{DateTime, Utc};
use common::money::{Currency, Money};

use super::{
    Account, Effect, Entry, Exception, Kind, Payment, Post,
    dispute::{Dispute, Movement, SeenDispute},
    money_back::{Back, File, Learned},
    unread::Unread,
};

impl File {
    /// Learns one dispute as a list that was asked for then has it.
    pub(super) fn learn_dispute(
        &mut self,
        payment: &mut Payment,
        seen: &SeenDispute,
        listed_at: DateTime<Utc>,
        settled: bool,
        now: DateTime<Utc>,
        learned: &mut Learned,
    ) {
        let is_ours = |currency: &str| {
            let own = payment.amount.currency.as_str();
            own.eq_ignore_ascii_case(currency)
        };
        if !is_ours(&seen.currency) {
            let unread = Unread {
                id: seen.id.clone(),
                what: "a dispute in another currency than its payment's",
            };
            learned.opened.push(unread.matter(payment));
            return;
        }
        let before = self.lost() - payment.disputed;
        let known = self.disputes.iter().position(|d| d.dispute_id == seen.id);
        let at = known.unwrap_or_else(|| {
            self.disputes.push(opened(payment, seen, listed_at, now));
            self.disputes.len() - 1
        });
        let dispute = &mut self.disputes[at];
        if listed_at < dispute.seen_at {
            return;
        }
        dispute.seen_at = listed_at;
        let mut changed = known.is_none();
        if changed || dispute.status != seen.status {
            learned.closed.push((Kind::Quarantined, seen.id.clone()));
        }
        for movement in &seen.movements {
            if dispute.transactions.contains(&movement.id) {
                continue;
            }
            changed = true;
            dispute.transactions.push(movement.id.clone());
            let converted = (!is_ours(&movement.currency)).then(|| {
                learned.opened.push(unbooked(payment, movement));
                in_own_currency(movement, seen)
            });
            let movement = converted.as_ref().unwrap_or(movement);
            dispute.withdrawn -= movement.amount;
            dispute.fee += movement.fee;
            learned.posts.extend(posts(payment, movement));
        }
        let told = (
            seen.status,
            seen.evidence_due,
            seen.submissions,
            seen.amount,
        );
        let held = (
            dispute.status,
            dispute.evidence_due,
            dispute.submissions,
            dispute.amount.minor,
        );
        if told != held && dispute.status.may_become(seen.status) {
            changed = true;
            (dispute.status, dispute.evidence_due, dispute.submissions) = (told.0, told.1, told.2);
            dispute.amount.minor = seen.amount;
        }
        if !changed {
            return;
        }
        dispute.updated_at = now;
        if dispute.status.waits_for_us() {
            learned.opened.push(Exception {
                kind: Kind::EvidenceDue,
                subject: dispute.dispute_id.clone(),
                payment_id: Some(payment.payment_id),
                amount: Some(dispute.amount),
                detail: format!("the donor's bank waits for an answer: {}", dispute.reason),
                due_at: dispute.evidence_due,
            });
        } else {
            learned
                .closed
                .push((Kind::EvidenceDue, dispute.dispute_id.clone()));
        }
        learned.disputes.push(dispute.clone());
        let back = Back {
            object: &seen.id,
            cause: format!("dispute.{}", dispute.status.as_str()),
            settled,
            uncovered: before,
        };
        learned.changes.extend(self.reckon(payment, back, now));
    }
}

fn opened(
    payment: &Payment,
    seen: &SeenDispute,
    listed_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Dispute {
    Dispute {
        dispute_id: seen.id.clone(),
        payment_id: payment.payment_id,
        amount: Money::new(seen.amount, payment.amount.currency),
        reason: seen.reason.clone(),
        status: seen.status,
        evidence_due: seen.evidence_due,
        submissions: seen.submissions,
        withdrawn: 0,
        fee: 0,
        transactions: Vec::new(),
        seen_at: listed_at,
        opened_at: seen.opened_at,
        updated_at: now,
    }
}

/// What a movement of converted money is to the payment: the bank takes, and gives back, what is disputed. What our
/// account lost by the conversion, and the provider's fee, is in no currency that the payment's books are kept in.
fn in_own_currency(movement: &Movement, seen: &SeenDispute) -> Movement {
    Movement {
        amount: seen.amount * movement.amount.signum(),
        fee: 0,
        ..movement.clone()
    }
}

fn unbooked(payment: &Payment, movement: &Movement) -> Exception {
    let currency = Currency::parse(&movement.currency.to_uppercase());
    Exception {
        kind: Kind::Reconciliation,
        subject: movement.id.clone(),
        payment_id: Some(payment.payment_id),
        amount: currency.ok().map(|it| Money::new(movement.fee, it)),
        detail: format!(
            "disputed money moved in {}: its fee is not booked",
            movement.currency
        ),
        due_at: None,
    }
}

/// What a dispute's movement is in the books: its money and its fee, each a set of its own. It is taken from, and
/// returned to, what is available at the provider.
fn posts(payment: &Payment, movement: &Movement) -> Vec<Post> {
    let line = |account, minor| Entry {
        account,
        campaign_id: None,
        amount: Money::new(minor, payment.amount.currency),
    };
    let post = |effect, to, minor| Post {
        object: movement.id.clone(),
        effect,
        entries: vec![line(to, minor), line(Account::PspSettled, -minor)],
    };
    let money = match movement.amount {
        0 => None,
        taken @ ..0 => Some(post(Effect::DisputeHeld, Account::DisputeHold, -taken)),
        given => Some(post(Effect::DisputeReleased, Account::DisputeHold, -given)),
    };
    let fee = post(Effect::DisputeFee, Account::Fees, movement.fee);
    money
        .into_iter()
        .chain((movement.fee != 0).then_some(fee))
        .collect()
}
