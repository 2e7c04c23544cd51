//! What the provider remembers: intents, their charges, and the facts that changed them.
//!
//! These are the shapes of the ledger file. What clients see is made from them in `view`.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::cards::Decline;

/// When the money is taken after a successful confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaptureMethod {
    Automatic,
    AutomaticAsync,
    Manual,
}

/// Where an intent stands, in Stripe's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        })
    }
}

/// What was agreed when an intent was created; every later state of the intent shares it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) id: String,
    pub(crate) client_secret: String,
    /// In the currency's minor unit.
    pub(crate) amount: i64,
    /// Three lowercase letters.
    pub(crate) currency: String,
    pub(crate) capture_method: CaptureMethod,
    /// In Unix seconds.
    pub(crate) created: i64,
    pub(crate) automatic_payment_methods: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receipt_email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) statement_descriptor_suffix: Option<String>,
}

/// A payment intent as it stood at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) terms: Arc<Terms>,
    pub(crate) status: Status,
    /// Held on the card and not yet taken.
    pub(crate) capturable: i64,
    pub(crate) received: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payment_method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latest_charge: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<LastError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) canceled_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cancellation_reason: Option<String>,
}

/// Why the last confirmation of an intent failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LastError {
    pub(crate) decline: Decline,
    pub(crate) charge: String,
    pub(crate) payment_method: String,
}

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
}

/// The entry of a captured charge in the account's balance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) id: String,
    /// In Unix seconds.
    pub(crate) created: i64,
    /// When `pending` turns into `available`, in Unix milliseconds.
    pub(crate) available_at: i64,
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

/// A webhook event: its object is the intent or the charge of the fact that it belongs to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) name: String,
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
pub(crate) enum Line<F = Fact> {
    Fact(F),
    /// A reply that changed nothing and is replayed all the same.
    Answer(Arc<Answer>),
    /// The receiver has acknowledged this event.
    Delivered(String),
}
