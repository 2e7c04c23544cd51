//! Our account at the provider: its entries, and what is paid out of it. Pure.

use serde::Deserialize;

use super::{Entered, is_reference};

/// An entry of our account at the provider.
#[derive(Clone, Debug, Deserialize)]
pub struct Transaction {
    /// Its id.
    pub id: String,
    /// Gross, in minor units; negative what goes out.
    pub amount: i64,
    /// What the provider keeps of it, in minor units.
    #[serde(default)]
    pub fee: i64,
    /// Its currency, in lower case.
    pub currency: String,
    /// `pending` or `available`.
    pub status: String,
    /// When it is available, in Unix seconds.
    pub available_on: i64,
    /// When it was made, in Unix seconds.
    #[serde(default)]
    pub created: i64,
    /// What it is about: `charge`, `refund`, `adjustment`, ...
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The charge, refund or dispute behind it.
    pub source: Option<String>,
}

impl Transaction {
    /// Whether the money can be paid out.
    pub fn is_available(&self) -> bool {
        self.status == "available"
    }

    /// What moved the money; nothing where that is no payment, such as a payout or a fee of the provider's own. Entries
    /// of disputes are adjustments, and told from others by what is behind them.
    pub fn moved(&self) -> Option<EntryKind> {
        let dispute = |id: &str| id.starts_with("dp_") || id.starts_with("du_");
        match self.kind.as_str() {
            "charge" => Some(EntryKind::Charge),
            "refund" => Some(EntryKind::Refund),
            "refund_failure" => Some(EntryKind::RefundFailure),
            "adjustment" if self.object().is_some_and(dispute) => Some(EntryKind::Dispute),
            _ => None,
        }
    }

    /// What the books have to hold of it.
    pub fn entered(&self, moved: EntryKind) -> Entered<'_> {
        let (gross, fee) = match moved {
            EntryKind::Charge => (self.amount, self.fee),
            EntryKind::Refund => (-self.amount, 0),
            EntryKind::RefundFailure => (self.amount, 0),
            // The bank takes, or gives back.
            EntryKind::Dispute => (self.amount.abs(), 0),
        };
        Entered {
            gross,
            fee,
            currency: &self.currency,
        }
    }

    /// The id of the charge, refund or dispute behind it.
    pub fn object(&self) -> Option<&str> {
        self.source.as_deref().filter(|id| is_reference(id))
    }
}

/// What an entry of our account is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A donor paid.
    Charge,
    /// Money went back to a donor.
    Refund,
    /// It did not arrive there, and came back.
    RefundFailure,
    /// A donor's bank took money, or returned it.
    Dispute,
}

/// Money on its way to our bank account.
#[derive(Clone, Debug, Deserialize)]
pub struct Payout {
    /// Its id.
    pub id: String,
    /// In minor units.
    pub amount: i64,
    /// Its currency, in lower case.
    pub currency: String,
    /// `pending`, `in_transit`, `paid`, `canceled` or `failed`.
    pub status: String,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// When it arrives, in Unix seconds.
    pub arrival_date: i64,
    /// Whether the provider's schedule made it. What one by hand is made of the provider does not say: it refuses the
    /// question.
    pub automatic: bool,
    /// `in_progress` while the provider puts together what it is made of, then `completed`; `not_applicable` by hand.
    pub reconciliation_status: Option<String>,
}

impl Payout {
    /// Whether the money is there.
    pub fn has_arrived(&self) -> bool {
        self.status == "paid"
    }

    /// Whether the money will never be there.
    pub fn has_failed(&self) -> bool {
        matches!(self.status.as_str(), "canceled" | "failed")
    }

    /// Whether the provider tells everything that it is made of.
    pub fn is_itemised(&self) -> bool {
        self.automatic && self.reconciliation_status.as_deref() == Some("completed")
    }
}
