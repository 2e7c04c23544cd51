use serde::{Deserialize, Serialize};

use super::{Dispute, Refund, Transaction};
use crate::cards::Decline;

/// One try to take money from a card.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) id: String,
    /// In Unix seconds.
    pub(crate) created: i64,
    pub(crate) payment_method: String,
    pub(crate) captured: bool,
    pub(crate) amount_captured: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decline: Option<Decline>,
    /// Until when a held amount can be captured, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capture_before: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transaction: Option<Transaction>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refunds: Vec<Refund>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) disputes: Vec<Dispute>,
    /// When its cardholder will dispute it, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disputed_at: Option<i64>,
}

impl Charge {
    /// A charge that took nothing so far.
    pub(crate) fn new(id: String, created: i64, payment_method: String) -> Self {
        Self {
            id,
            created,
            payment_method,
            captured: false,
            amount_captured: 0,
            decline: None,
            capture_before: None,
            transaction: None,
            refunds: Vec::new(),
            disputes: Vec::new(),
            disputed_at: None,
        }
    }

    /// What was given back or is on its way back, in minor units.
    pub(crate) fn refunded(&self) -> i64 {
        let counts = |refund: &&Refund| refund.status.counts();
        self.refunds
            .iter()
            .filter(counts)
            .map(|refund| refund.amount)
            .sum()
    }

    /// The refund `id`.
    pub(crate) fn refund(&self, id: &str) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// The dispute `id`.
    pub(crate) fn dispute(&self, id: &str) -> Option<&Dispute> {
        self.disputes.iter().find(|dispute| dispute.id == id)
    }

    /// Every entry that it has in the account's balance.
    pub(crate) fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        let refunds = self
            .refunds
            .iter()
            .flat_map(|refund| [&refund.transaction].into_iter().chain(&refund.reversal));
        let disputes = self
            .disputes
            .iter()
            .flat_map(|dispute| &dispute.transactions);
        self.transaction.iter().chain(refunds).chain(disputes)
    }
}
