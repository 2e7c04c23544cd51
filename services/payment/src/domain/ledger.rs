//! What the books are made of: accounts, entries, and sets of entries that sum to zero. Pure.

use common::{ids::CampaignId, money::Money};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where money can be.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = LedgerAccount)]
pub enum Account {
    /// Taken by the provider and not available yet.
    PspReceivable,
    /// Available at the provider.
    PspSettled,
    /// Owed to donors who keep a balance with us.
    DonorWallet,
    /// Owed to a campaign: what it raised.
    CampaignPayable,
    /// Given to the platform.
    PlatformTip,
    /// What the provider keeps; the platform bears it.
    Fees,
    /// Promised back to donors and not sent yet.
    RefundsPayable,
    /// Taken back by the bank until a dispute is decided.
    DisputeHold,
    /// Taken in a way that nobody asked for, until a person decides.
    Suspense,
    /// Lost beyond what a campaign still had of a gift.
    PlatformLoss,
}

impl Account {
    /// Every account.
    pub const ALL: [Self; 10] = [
        Self::PspReceivable,
        Self::PspSettled,
        Self::DonorWallet,
        Self::CampaignPayable,
        Self::PlatformTip,
        Self::Fees,
        Self::RefundsPayable,
        Self::DisputeHold,
        Self::Suspense,
        Self::PlatformLoss,
    ];

    /// The spelling in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PspReceivable => "psp_receivable",
            Self::PspSettled => "psp_settled",
            Self::DonorWallet => "donor_wallet",
            Self::CampaignPayable => "campaign_payable",
            Self::PlatformTip => "platform_tip",
            Self::Fees => "fees",
            Self::RefundsPayable => "refunds_payable",
            Self::DisputeHold => "dispute_hold",
            Self::Suspense => "suspense",
            Self::PlatformLoss => "platform_loss",
        }
    }

    /// Reads the spelling in SQL.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|account| account.as_str() == text)
    }
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LedgerEffect)]
pub enum Effect {
    /// The provider took it from the donor.
    Captured,
    /// It became available.
    Settled,
    /// It is not available any more.
    SettlementReversed,
    /// It went back to the donor.
    Refunded,
    /// It came back after it had been refunded.
    RefundFailed,
    /// The donor's bank took it until a dispute is decided.
    DisputeHeld,
    /// The donor's bank returned what it had taken until then.
    DisputeReleased,
    /// The provider charged for a dispute.
    DisputeFee,
    /// The donor's bank took it back for good.
    DisputeLost,
    /// The donor's bank returned what it had taken.
    DisputeReversed,
    /// The provider took it in a way that nobody asked for.
    Suspense,
    /// That went back.
    SuspenseResolved,
    /// An admin set something right.
    Correction,
}

impl Effect {
    /// Every effect.
    pub const ALL: [Self; 13] = [
        Self::Captured,
        Self::Settled,
        Self::SettlementReversed,
        Self::Refunded,
        Self::RefundFailed,
        Self::DisputeHeld,
        Self::DisputeReleased,
        Self::DisputeFee,
        Self::DisputeLost,
        Self::DisputeReversed,
        Self::Suspense,
        Self::SuspenseResolved,
        Self::Correction,
    ];

    /// The spelling in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Settled => "settled",
            Self::SettlementReversed => "settlement_reversed",
            Self::Refunded => "refunded",
            Self::RefundFailed => "refund_failed",
            Self::DisputeHeld => "dispute_held",
            Self::DisputeReleased => "dispute_released",
            Self::DisputeFee => "dispute_fee",
            Self::DisputeLost => "dispute_lost",
            Self::DisputeReversed => "dispute_reversed",
            Self::Suspense => "suspense",
            Self::SuspenseResolved => "suspense_resolved",
            Self::Correction => "correction",
        }
    }

    /// Reads the spelling in SQL.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effect| effect.as_str() == text)
    }
}

/// One line of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which account.
    pub account: Account,
    /// Whose money it is; always told of what is owed to campaigns.
    pub campaign_id: Option<CampaignId>,
    /// Debit positive, credit negative.
    pub amount: Money,
}

/// What one effect moved; it sums to zero in each currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrySet {
    /// Why.
    pub effect: Effect,
    /// Two lines at least.
    pub entries: Vec<Entry>,
}

/// A step of the pending transfer that an authorisation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// So much is held, in minor units.
    Held(i64),
    /// Of what was held so much was taken, and the rest released.
    Posted {
        /// In minor units.
        held: i64,
        /// In minor units, more than zero.
        posted: i64,
    },
    /// All that was held is released.
    Voided {
        /// In minor units.
        held: i64,
    },
}
