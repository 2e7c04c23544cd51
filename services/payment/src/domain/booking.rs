//! From a change of a payment to its entries. Pure, and total: whatever the machine yields has its booking.
//!
//! A payment's amounts say where its money has to be; the entries of a change are what they say after it minus what
//! they said before. So the books of a payment always tell the same as its row, in whatever order things happened.

use common::{
    ids::CampaignId,
    money::{Currency, Extras, Money, Parts},
    payment::State,
};

use super::ledger::{Account, Effect, Entry, EntrySet, Hold};

/// How far a payment is, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub state: State,
    /// Held so far.
    pub authorized: i64,
    /// Taken so far.
    pub captured: i64,
    /// Given back so far.
    pub refunded: i64,
    /// Lost in disputes so far, out of what refunds left.
    pub lost: i64,
}

/// A change as the books see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// How far the payment was.
    pub before: Standing,
    /// How far it is.
    pub after: Standing,
    /// The campaign that it is for.
    pub campaign_id: CampaignId,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The whole charge, in minor units.
    pub charged: i64,
    /// How much of the whole charge is not the gift.
    pub extras: Extras,
    /// What disputes took for good beyond what refunds left, before and after the change, in minor units.
    pub uncovered: (i64, i64),
    /// The provider's object that the change is about.
    pub object: String,
    /// What the provider keeps, in minor units, where the change is a settlement.
    pub fee: i64,
}

/// What a change is in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// What became of the pending transfer.
    pub hold: Option<Hold>,
    /// One set for each effect, in their order.
    pub sets: Vec<EntrySet>,
}

/// Where a payment's money is, debits positive.
#[derive(Clone, Copy)]
struct Position {
    captured: i64,
    refunded: i64,
    lost: i64,
    uncovered: i64,
    settled: bool,
    fee: i64,
}

impl Position {
    /// What each account holds of it, `kept` being what is left by what it is for; they always sum to zero.
    fn accounts(self, kept: Parts) -> [(Account, i64); 7] {
        let there = self.captured - self.refunded;
        let (due, available) = if self.settled { (0, there) } else { (there, 0) };
        [
            (Account::PspReceivable, due),
            (Account::PspSettled, available - self.fee),
            // What the donor adds for the provider's fee is set against it.
            (Account::Fees, self.fee - kept.covered_fee),
            // The dispute's own movements brought it here.
            (Account::DisputeHold, -self.lost - self.uncovered),
            (Account::CampaignPayable, -kept.gift),
            (Account::PlatformTip, -kept.tip),
            // A campaign owes nothing: what is lost beyond a gift's rest is the platform's loss.
            (Account::PlatformLoss, self.uncovered),
        ]
    }
}

impl Moved {
    /// What this change is in the books.
    pub fn booking(&self) -> Booking {
        Booking {
            hold: self.hold(),
            sets: self.sets(),
        }
    }

    /// One set for each amount that changed. Settlement comes before what is given back, so that a refund of settled
    /// money is taken from what is available, and one that failed comes back to where it was.
    fn sets(&self) -> Vec<EntrySet> {
        let (before, after) = (self.before, self.after);
        let settled = after.state == State::Completed;
        let mut sets = Vec::new();
        let mut at = Position {
            captured: before.captured,
            refunded: before.refunded,
            lost: before.lost,
            uncovered: self.uncovered.0,
            settled: before.state == State::Completed,
            fee: 0,
        };
        let mut go = |effect, to: &dyn Fn(Position) -> Position| {
            let next = to(at);
            let entries = self.between(at, next);
            if !entries.is_empty() {
                sets.push(EntrySet { effect, entries });
            }
            at = next;
        };
        go(Effect::Captured, &|at| Position {
            captured: after.captured,
            ..at
        });
        if settled {
            go(Effect::Settled, &|at| Position {
                settled: true,
                fee: self.fee,
                ..at
            });
        }
        let given_back = if after.refunded < before.refunded {
            Effect::RefundFailed
        } else {
            Effect::Refunded
        };
        let refund = |at| Position {
            refunded: after.refunded,
            ..at
        };
        let (was, is) = (
            before.lost + self.uncovered.0,
            after.lost + self.uncovered.1,
        );
        let less = (is, after.lost) < (was, before.lost);
        let disputed = if less {
            Effect::DisputeReversed
        } else {
            Effect::DisputeLost
        };
        let loss = |at| Position {
            lost: after.lost,
            uncovered: self.uncovered.1,
            ..at
        };
        // Whichever makes room for the other comes first: no more is ever gone than was taken.
        if after.lost < before.lost {
            go(disputed, &loss);
            go(given_back, &refund);
        } else {
            go(given_back, &refund);
            go(disputed, &loss);
        }
        go(Effect::SettlementReversed, &|at| Position { settled, ..at });
        sets
    }

    fn between(&self, before: Position, after: Position) -> Vec<Entry> {
        let (was, is) = (self.kept(before), self.kept(after));
        let pairs = before.accounts(was).into_iter().zip(after.accounts(is));
        let moved = pairs.map(|((account, was), (_, is))| (account, is - was));
        moved
            .filter(|(_, minor)| *minor != 0)
            .map(|(account, minor)| Entry {
                account,
                campaign_id: (account == Account::CampaignPayable).then_some(self.campaign_id),
                amount: Money::new(minor, self.currency),
            })
            .collect()
    }

    /// What is left of the charge by what it is for: each share of what was taken, less its share of what is gone.
    fn kept(&self, at: Position) -> Parts {
        let taken = self.extras.split(self.charged, at.captured);
        let gone = self.extras.split(self.charged, at.refunded + at.lost);
        Parts {
            gift: taken.gift - gone.gift,
            tip: taken.tip - gone.tip,
            covered_fee: taken.covered_fee - gone.covered_fee,
        }
    }

    /// Only what was told to be held is pending: a capture without a hold before it posts at once.
    fn hold(&self) -> Option<Hold> {
        let (before, after) = (self.before, self.after);
        match (before.state, after.state) {
            (State::Pending, State::Authorized) if after.authorized > 0 => {
                Some(Hold::Held(after.authorized))
            }
            (State::Authorized, State::Authorized) => None,
            (State::Authorized, _) if before.authorized > 0 => {
                let held = before.authorized;
                Some(match after.captured.min(held) {
                    posted @ 1.. => Hold::Posted { held, posted },
                    _ => Hold::Voided { held },
                })
            }
            _ => None,
        }
    }
}
