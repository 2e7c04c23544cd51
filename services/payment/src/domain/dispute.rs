//! A donor's bank takes money back, or asks whether it should. Pure.

use chrono::{DateTime, Utc};
use common::{ids::PaymentId, money::Money};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a dispute stands, in the provider's words. The first three are inquiries, in which no money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DisputeStatus)]
pub enum DisputeStatus {
    /// The bank asks, and waits for our answer.
    WarningNeedsResponse,
    /// The bank asks, and has our answer.
    WarningUnderReview,
    /// The bank asked, and nothing came of it.
    WarningClosed,
    /// The bank took the money and waits for our evidence.
    NeedsResponse,
    /// The bank has our evidence.
    UnderReview,
    /// The money came back.
    Won,
    /// The money is gone.
    Lost,
    /// It was settled before it became a dispute.
    Prevented,
}

impl DisputeStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::WarningNeedsResponse,
        Self::WarningUnderReview,
        Self::WarningClosed,
        Self::NeedsResponse,
        Self::UnderReview,
        Self::Won,
        Self::Lost,
        Self::Prevented,
    ];

    /// The spelling in SQL, in JSON and at the provider.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Prevented => "prevented",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the donor may have the money already, so that it must not be refunded beside.
    pub const fn blocks_refunds(self) -> bool {
        matches!(self, Self::NeedsResponse | Self::UnderReview | Self::Lost)
    }

    /// Whether the bank waits for us.
    pub const fn waits_for_us(self) -> bool {
        matches!(self, Self::NeedsResponse | Self::WarningNeedsResponse)
    }

    /// Whether it may stand there next. A bank may change its word, and what came to nothing may come again; but what is
    /// lost is open no more, whatever an older list says.
    pub const fn may_become(self, next: Self) -> bool {
        !matches!(self, Self::Lost) || next.is_closed()
    }

    /// Whether it is decided.
    pub const fn is_closed(self) -> bool {
        matches!(
            self,
            Self::WarningClosed | Self::Won | Self::Lost | Self::Prevented
        )
    }
}

/// A dispute of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The provider's id.
    pub dispute_id: String,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much is disputed.
    pub amount: Money,
    /// Why, in the provider's word.
    pub reason: String,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Until when the bank takes evidence.
    pub evidence_due: Option<DateTime<Utc>>,
    /// How often we gave evidence.
    pub submissions: i32,
    /// Taken by the bank so far, less what it returned, in minor units.
    pub withdrawn: i64,
    /// What the provider asked for its trouble, in minor units.
    pub fee: i64,
    /// The balance transactions behind both, each of which counts once.
    pub transactions: Vec<String>,
    /// When the look began that found it so; one that began before is old news.
    pub seen_at: DateTime<Utc>,
    /// When the bank opened it.
    pub opened_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
}

impl Dispute {
    /// What of it is gone for good, in minor units.
    pub fn lost(&self) -> i64 {
        if self.status == DisputeStatus::Lost {
            self.withdrawn.max(0)
        } else {
            0
        }
    }
}

/// A movement on our account at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Its id there.
    pub id: String,
    /// In minor units, negative when it left the account.
    pub amount: i64,
    /// What the provider keeps beside.
    pub fee: i64,
    /// The currency of both, in lower case: that of our account, which may not be the payment's.
    pub currency: String,
}

/// A dispute as the provider tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenDispute {
    /// Its id there.
    pub id: String,
    /// In minor units.
    pub amount: i64,
    /// Its currency, in lower case.
    pub currency: String,
    /// Why.
    pub reason: String,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Until when the bank takes evidence.
    pub evidence_due: Option<DateTime<Utc>>,
    /// How often we gave evidence.
    pub submissions: i32,
    /// How its money moved.
    pub movements: Vec<Movement>,
    /// When the bank opened it.
    pub opened_at: DateTime<Utc>,
}
