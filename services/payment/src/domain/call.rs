//! The call that opens a payment's intent, and what is known about it. Pure.

use super::payment::Payment;

/// What is known about the call that opens the intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was never made.
    None,
    /// It was about to be made; a crash leaves it so.
    Requested,
    /// It was made, and its reply never came.
    Unknown,
    /// The provider has answered.
    Known,
}

impl Outcome {
    /// The spelling in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Requested => "requested",
            Self::Unknown => "unknown",
            Self::Known => "known",
        }
    }

    /// Reads the spelling in SQL.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Requested, Self::Unknown, Self::Known]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// The call that opens the intent, as it is stored before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The provider's idempotency key.
    pub key: String,
    /// The form body, byte for byte.
    pub request: Vec<u8>,
}

/// A payment with the call that opens its intent.
#[derive(Clone, Debug)]
pub struct Called {
    /// The payment.
    pub payment: Payment,
    /// The call, ready to be made or repeated.
    pub call: Frozen,
}
