use std::time::Duration;

use crate::{
    config::Rules,
    ids,
    model::{Terms, Transaction, TransactionKind, Turn},
};

/// The moment of a change, and the rules by which money moves.
pub(crate) struct Bank<'a> {
    /// In Unix milliseconds.
    pub(crate) now_ms: i64,
    pub(crate) settle_after: Duration,
    pub(crate) rules: &'a Rules,
    /// Where a browser finds the provider.
    pub(crate) public_url: &'a str,
}

impl Bank<'_> {
    /// The time in Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    /// The time this much later, in Unix milliseconds.
    pub(crate) fn after(&self, wait: Duration) -> i64 {
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        self.now_ms.saturating_add(wait)
    }

    /// The time this much later, in Unix seconds.
    pub(crate) fn seconds_after(&self, wait: Duration) -> i64 {
        self.after(wait).div_euclid(1000)
    }

    /// The page on which the payer's bank asks who they are.
    pub(crate) fn challenge(&self, terms: &Terms) -> String {
        let base = self.public_url.trim_end_matches('/');
        let (id, secret) = (&terms.id, &terms.client_secret);
        format!("{base}/authenticate/{id}?client_secret={secret}")
    }

    /// What follows by itself, a little later.
    pub(crate) fn soon<S>(&self, to: S) -> Turn<S> {
        let at = self.after(self.rules.turn_after);
        Turn { at, to }
    }

    /// What the provider keeps of a charge: a share, rounded to the nearest minor unit, and a fixed part.
    fn fee(&self, amount: i64) -> i64 {
        let share = amount.saturating_mul(self.rules.fee_basis_points);
        share.saturating_add(5_000).div_euclid(10_000) + self.rules.fee_fixed
    }

    /// A captured charge in the balance; the money is `pending` for a while.
    pub(crate) fn charge(&self, source: &str, amount: i64) -> Transaction {
        Transaction {
            available_at: self.after(self.settle_after),
            fee: self.fee(amount),
            ..self.at_once(TransactionKind::Charge, source, amount)
        }
    }

    /// What a bank takes back, with what the provider asks for its trouble.
    pub(crate) fn withdrawal(&self, source: &str, amount: i64) -> Transaction {
        Transaction {
            fee: self.rules.dispute_fee,
            ..self.at_once(TransactionKind::Dispute, source, -amount)
        }
    }

    /// A movement without a fee that counts from now on.
    pub(crate) fn at_once(&self, kind: TransactionKind, source: &str, amount: i64) -> Transaction {
        Transaction {
            id: ids::object("txn", self.now()),
            created: self.now(),
            available_at: self.now_ms,
            kind,
            amount,
            fee: 0,
            source: source.to_owned(),
        }
    }
}
