//! What judging an event changed of a payment, for people. Pure.

use common::payment::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::payment::Payment;

/// A payment before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WebhookDiff)]
pub struct Diff {
    /// How it stood.
    pub before: Side,
    /// How it stands.
    pub after: Side,
}

/// What of a payment an event can change; amounts in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WebhookDiffSide)]
pub struct Side {
    /// Where it stands.
    pub state: State,
    /// Held or taken so far.
    pub authorized: i64,
    /// Taken so far.
    pub captured: i64,
    /// Given back so far.
    pub refunded: i64,
    /// Lost in disputes so far.
    pub disputed: i64,
    /// Version of its last snapshot.
    pub version: i64,
    /// Whether its intent is known.
    pub has_intent: bool,
}

impl Side {
    /// A payment as it stands.
    pub fn of(payment: &Payment) -> Self {
        Self {
            state: payment.state,
            authorized: payment.authorized,
            captured: payment.captured,
            refunded: payment.refunded,
            disputed: payment.disputed,
            version: payment.version,
            has_intent: payment.provider_ref.is_some(),
        }
    }
}

impl Diff {
    /// As it is stored.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
