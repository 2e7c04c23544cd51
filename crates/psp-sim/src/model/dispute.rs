use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Transaction, Turn};

/// Where a dispute stands, in Stripe's words. The first three are inquiries, in which no money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisputeStatus {
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
    /// It was settled before it became a dispute.
    Prevented,
}

impl DisputeStatus {
    /// Whether nobody can change it any more.
    pub(crate) fn is_closed(self) -> bool {
        matches!(
            self,
            Self::WarningClosed | Self::Won | Self::Lost | Self::Prevented
        )
    }

    /// Whether the bank asks and has taken nothing.
    pub(crate) fn is_inquiry(self) -> bool {
        matches!(
            self,
            Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed
        )
    }

    /// Whether a dispute that got this far has taken the money out of the balance.
    pub(crate) fn withdraws(self) -> bool {
        !self.is_inquiry() && self != Self::Prevented
    }

    /// Whether the charge can be refunded beside it: after a chargeback the payer has the money already.
    pub(crate) fn allows_refunds(self) -> bool {
        !matches!(self, Self::NeedsResponse | Self::UnderReview | Self::Lost)
    }
}

impl fmt::Display for DisputeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Prevented => "prevented",
        })
    }
}

/// A cardholder's complaint about a charge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    /// In minor units.
    pub(crate) amount: i64,
    /// In Unix seconds.
    pub(crate) created: i64,
    pub(crate) reason: String,
    pub(crate) status: DisputeStatus,
    /// Until when evidence can be submitted, in Unix seconds.
    pub(crate) due_by: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) evidence: BTreeMap<String, String>,
    pub(crate) submissions: u32,
    /// Whether the last submission came after `due_by`.
    pub(crate) late: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    /// The withdrawal, and after a victory the reinstatement.
    pub(crate) transactions: Vec<Transaction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Turn<DisputeStatus>>,
}
