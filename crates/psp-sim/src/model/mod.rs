//! What the provider remembers: intents, their charges, and the facts that changed them.
//!
//! These are the shapes of the ledger file. What clients see is made from them in `view`.

mod charge;
mod dispute;
mod intent;
mod payout;
mod refund;
mod transaction;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use charge::Charge;
pub(crate) use dispute::{Dispute, DisputeStatus};
pub(crate) use intent::{CaptureMethod, Intent, LastError, Status, Terms};
pub(crate) use payout::{Payout, PayoutFact, PayoutStatus};
pub(crate) use refund::{Refund, RefundStatus};
pub(crate) use transaction::{Transaction, TransactionKind};

/// What something turns into by itself, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turn<S> {
    /// In Unix milliseconds.
    pub(crate) at: i64,
    pub(crate) to: S,
}

/// What kind of fact a line of the ledger states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    #[serde(rename = "intent.created")]
    Created,
    #[serde(rename = "intent.requires_action")]
    ActionRequired,
    #[serde(rename = "intent.processing")]
    Processing,
    #[serde(rename = "charge.declined")]
    Declined,
    #[serde(rename = "charge.authorized")]
    Authorized,
    #[serde(rename = "charge.captured")]
    Charged,
    #[serde(rename = "capture")]
    Captured,
    #[serde(rename = "transaction.created")]
    Booked,
    #[serde(rename = "cancel")]
    Canceled,
    #[serde(rename = "authentication.failed")]
    NotAuthenticated,
    #[serde(rename = "hold.expired")]
    HoldExpired,
    #[serde(rename = "refund.created")]
    Refunded,
    #[serde(rename = "refund.updated")]
    RefundTurned,
    #[serde(rename = "dispute.created")]
    Disputed,
    #[serde(rename = "dispute.updated")]
    DisputeTurned,
}

/// One thing that happened, whole: the state after it, the events it sends and the reply it gave.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fact {
    pub(crate) kind: Kind,
    /// In Unix milliseconds.
    pub(crate) at: i64,
    pub(crate) intent: Intent,
    /// The intent's latest charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) charge: Option<Charge>,
    pub(crate) events: Vec<Event>,
    /// The id of the request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Arc<Answer>>,
}

impl Fact {
    /// The id of the intent that it is about.
    pub(crate) fn intent_id(&self) -> &str {
        &self.intent.terms.id
    }
}

/// A webhook event: its object is part of the fact that it belongs to, and its type says which part.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) name: String,
    /// The refund or the dispute that it is about, of which a charge can have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) about: Option<String>,
}

/// The first reply that was given under an idempotency key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) key: String,
    pub(crate) path: String,
    /// SHA-256 of the request's parameters, in hex.
    pub(crate) fingerprint: String,
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// One line of the ledger file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line<F = Fact, P = PayoutFact> {
    Fact(F),
    /// A payout was made, or has moved on.
    Payout(P),
    /// A reply that changed nothing and is replayed all the same.
    Answer(Arc<Answer>),
    /// The receiver has acknowledged this event.
    Delivered(String),
    /// A fault has lost this event on its way: nobody sends it any more.
    Dropped(String),
}
