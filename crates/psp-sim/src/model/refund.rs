use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Transaction, Turn};

/// Where a refund stands, in Stripe's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    RequiresAction,
    Succeeded,
    Failed,
    Canceled,
}

impl RefundStatus {
    /// Whether its amount counts as refunded: what failed or was canceled is back with the merchant.
    pub(crate) fn counts(self) -> bool {
        !matches!(self, Self::Failed | Self::Canceled)
    }

    /// Whether it can still become `next`. Even a refund that succeeded fails when the payer's bank sends it back.
    pub(crate) fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending | Self::RequiresAction => next != self,
            Self::Succeeded => next == Self::Failed,
            Self::Failed | Self::Canceled => false,
        }
    }
}

impl fmt::Display for RefundStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        })
    }
}

/// Captured money that goes back to the payer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    /// In minor units.
    pub(crate) amount: i64,
    /// In Unix seconds.
    pub(crate) created: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) status: RefundStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure_reason: Option<String>,
    pub(crate) transaction: Transaction,
    /// The money's way back into the balance after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reversal: Option<Transaction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Turn<RefundStatus>>,
}
