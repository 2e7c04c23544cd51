use serde::{Deserialize, Serialize};

use super::{Event, Transaction, Turn};

/// Where a payout stands, in Stripe's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PayoutStatus {
    Pending,
    Paid,
    Failed,
}

impl PayoutStatus {
    /// The bank may send back what it has booked, and nothing follows a failure.
    pub(crate) fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Pending, Self::Paid | Self::Failed) | (Self::Paid, Self::Failed)
        )
    }
}

/// Money on its way to the merchant's bank account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payout {
    pub(crate) id: String,
    /// In minor units.
    pub(crate) amount: i64,
    /// Three lowercase letters.
    pub(crate) currency: String,
    /// In Unix seconds.
    pub(crate) created: i64,
    /// In Unix seconds.
    pub(crate) arrival_date: i64,
    /// Whether the schedule made it.
    pub(crate) automatic: bool,
    pub(crate) status: PayoutStatus,
    pub(crate) transaction: Transaction,
    /// The money in the account again, once it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Transaction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Turn<PayoutStatus>>,
}

/// A payout as it stood at one moment, and the events that this sends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PayoutFact {
    /// In Unix milliseconds.
    pub(crate) at: i64,
    pub(crate) payout: Payout,
    /// The balance transactions that it pays out, stated when it is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pays_out: Vec<String>,
    pub(crate) events: Vec<Event>,
}
