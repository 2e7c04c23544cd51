//! Movements between two accounts that are no change of a payment. Pure.

use common::money::Money;

use super::{Account, Effect, Entry};

/// A set of entries that a movement on the provider's account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The movement.
    pub object: String,
    /// Why.
    pub effect: Effect,
    /// Its lines.
    pub entries: Vec<Entry>,
}

impl Post {
    /// The provider keeps its fee of money that went back before it was available.
    pub fn fee(transaction: &str, fee: Money) -> Self {
        let (from, to) = (Account::PspSettled, Account::Fees);
        Self::between(transaction, Effect::Settled, from, to, fee)
    }

    /// The provider took money that nobody asked for, or has it back because it could not be given back: `before` says
    /// how often it had gone back by then.
    pub fn suspense(intent: &str, before: i64, taken: Money) -> Self {
        let (from, to) = (Account::Suspense, Account::PspReceivable);
        Self::between(&turn(intent, before), Effect::Suspense, from, to, taken)
    }

    /// That went back.
    pub fn suspense_resolved(intent: &str, before: i64, taken: Money) -> Self {
        let (from, to) = (Account::PspReceivable, Account::Suspense);
        let effect = Effect::SuspenseResolved;
        Self::between(&turn(intent, before), effect, from, to, taken)
    }

    /// The account `from` is credited, `to` is debited.
    fn between(object: &str, effect: Effect, from: Account, to: Account, amount: Money) -> Self {
        let entry = |account, minor| Entry {
            account,
            campaign_id: None,
            amount: Money::new(minor, amount.currency),
        };
        Self {
            object: object.to_owned(),
            effect,
            entries: vec![entry(to, amount.minor), entry(from, -amount.minor)],
        }
    }
}

/// What a movement of suspended money is booked under: the intent, and from its second time on also which time that is.
fn turn(intent: &str, before: i64) -> String {
    if before == 0 {
        intent.to_owned()
    } else {
        format!("{intent}:{before}")
    }
}
