use serde::{Deserialize, Serialize};

/// What moved the account's balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TransactionKind {
    /// A charge was captured.
    #[default]
    Charge,
    /// Money goes back to the payer.
    Refund,
    /// It did not arrive there and came back.
    RefundFailure,
    /// A bank took disputed money.
    Dispute,
    /// A bank gave disputed money back.
    DisputeReversal,
    /// Money went to the merchant's bank account.
    Payout,
    /// It did not arrive there and came back.
    PayoutFailure,
}

impl TransactionKind {
    /// Its `type`, and its `reporting_category`.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Charge => ("charge", "charge"),
            Self::Refund => ("refund", "refund"),
            Self::RefundFailure => ("refund_failure", "refund_failure"),
            Self::Dispute => ("adjustment", "dispute"),
            Self::DisputeReversal => ("adjustment", "dispute_reversal"),
            Self::Payout => ("payout", "payout"),
            Self::PayoutFailure => ("payout_failure", "payout_reversal"),
        }
    }
}

/// An entry in the account's balance. Amounts are minor units of the currency of what it belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) id: String,
    /// In Unix seconds.
    pub(crate) created: i64,
    /// When `pending` turns into `available`, in Unix milliseconds.
    pub(crate) available_at: i64,
    #[serde(default)]
    pub(crate) kind: TransactionKind,
    /// What moved: negative when it left the account.
    #[serde(default)]
    pub(crate) amount: i64,
    /// What the provider keeps of it.
    #[serde(default)]
    pub(crate) fee: i64,
    /// The id of the charge, refund, dispute or payout.
    #[serde(default)]
    pub(crate) source: String,
}

impl Transaction {
    /// What the balance changes by.
    pub(crate) fn net(&self) -> i64 {
        self.amount - self.fee
    }

    /// Whether the money can be paid out at `now`, in Unix milliseconds.
    pub(crate) fn is_available(&self, now: i64) -> bool {
        now >= self.available_at
    }
}
