//! Matters that a person has to look at. Pure.

use chrono::{DateTime, Utc};
use common::{ids::PaymentId, money::Money};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of matter it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = ExceptionKind)]
pub enum Kind {
    /// A call to the provider whose outcome is still not known.
    Unknown,
    /// A delivery that cannot be believed or understood.
    Quarantined,
    /// A delivery about a payment that we do not know.
    Parked,
    /// A delivery that contradicts what we know.
    Conflict,
    /// Money that was taken in a way that nobody asked for.
    Suspense,
    /// The provider's account and our books differ.
    Reconciliation,
    /// The donor's bank waits for our evidence.
    EvidenceDue,
    /// Money that could not be given back.
    RefundFailed,
    /// Events that do not leave the outbox.
    OutboxStuck,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Quarantined,
        Self::Parked,
        Self::Conflict,
        Self::Suspense,
        Self::Reconciliation,
        Self::EvidenceDue,
        Self::RefundFailed,
        Self::OutboxStuck,
    ];

    /// The spelling in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Quarantined => "QUARANTINED",
            Self::Parked => "PARKED",
            Self::Conflict => "CONFLICT",
            Self::Suspense => "SUSPENSE",
            Self::Reconciliation => "RECONCILIATION",
            Self::EvidenceDue => "EVIDENCE_DUE",
            Self::RefundFailed => "REFUND_FAILED",
            Self::OutboxStuck => "OUTBOX_STUCK",
        }
    }

    /// What a person does about it: a stable code, and the same in words.
    pub const fn next_action(self) -> (&'static str, &'static str) {
        match self {
            Self::Unknown => (
                "look_at_provider",
                "look the call up in the provider's dashboard, and have its event replayed",
            ),
            Self::Quarantined => (
                "check_delivery",
                "compare the delivery with the provider's object; replay it once it can be understood",
            ),
            Self::Parked => (
                "find_payment",
                "find out whose money it is; replay the delivery once the payment is known",
            ),
            Self::Conflict => (
                "compare_with_provider",
                "compare the payment with the provider's object, and replay the delivery",
            ),
            Self::Suspense => (
                "decide_money",
                "give the money back in the provider's dashboard, or keep it, correct the books and close this: each ends the payment",
            ),
            Self::Reconciliation => (
                "explain_difference",
                "find the balance transaction behind the difference, and correct the books",
            ),
            Self::EvidenceDue => (
                "submit_evidence",
                "send the evidence before it is due, by POST /api/admin/disputes/{id}/evidence",
            ),
            Self::RefundFailed => (
                "refund_otherwise",
                "ask the donor for another way to give the money back",
            ),
            Self::OutboxStuck => (
                "restore_broker",
                "see that the broker runs and that the relay reaches it; nothing is lost meanwhile",
            ),
        }
    }

    /// Reads the spelling in SQL.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A matter to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// What kind of matter.
    pub kind: Kind,
    /// What it is about; with the kind it is one matter, however often it is opened.
    pub subject: String,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// How much money.
    pub amount: Option<Money>,
    /// What happened, for a person.
    pub detail: String,
    /// When it will be too late.
    pub due_at: Option<DateTime<Utc>>,
}
