//! Stripe's own test payment methods: a token decides what the bank will say.

use serde::{Deserialize, Serialize};

/// What happens when an intent is confirmed with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The bank agrees.
    Approved,
    /// The bank refuses; another try on the same intent may succeed.
    Declined(Decline),
    /// The payer must first prove who they are.
    ActionRequired,
    /// The bank has not answered, and never will.
    Processing,
}

/// A refusal in the words that the payer and the merchant see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decline {
    pub(crate) code: String,
    /// The bank's reason, which the API calls `decline_code`.
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// The part of a token after `pm_card_` or `pm_card_visa_`, and the refusal that it stands for.
const DECLINES: [(&str, &str, &str, &str); 8] = [
    (
        "chargeDeclined",
        "card_declined",
        "generic_decline",
        "Your card was declined.",
    ),
    (
        "chargeDeclinedInsufficientFunds",
        "card_declined",
        "insufficient_funds",
        "Your card has insufficient funds.",
    ),
    (
        "chargeDeclinedLostCard",
        "card_declined",
        "lost_card",
        "Your card was declined.",
    ),
    (
        "chargeDeclinedStolenCard",
        "card_declined",
        "stolen_card",
        "Your card was declined.",
    ),
    (
        "chargeDeclinedFraudulent",
        "card_declined",
        "fraudulent",
        "Your card was declined.",
    ),
    (
        "chargeDeclinedExpiredCard",
        "expired_card",
        "expired_card",
        "Your card has expired.",
    ),
    (
        "chargeDeclinedIncorrectCvc",
        "incorrect_cvc",
        "incorrect_cvc",
        "Your card's security code is incorrect.",
    ),
    (
        "chargeDeclinedProcessingError",
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
];

/// Tokens of cards that pay. A dispute of the last one belongs to a later day than its payment.
const APPROVED: [&str; 6] = [
    "visa",
    "visa_debit",
    "mastercard",
    "amex",
    "discover",
    "createDispute",
];

/// Looks a token up; `None` is a payment method that does not exist.
pub(crate) fn outcome(token: &str) -> Option<Outcome> {
    if token == "pm_usBankAccount_processing" {
        return Some(Outcome::Processing);
    }
    let name = token.strip_prefix("pm_card_")?;
    if APPROVED.contains(&name) {
        return Some(Outcome::Approved);
    }
    if name == "authenticationRequired" {
        return Some(Outcome::ActionRequired);
    }
    let name = name.strip_prefix("visa_").unwrap_or(name);
    let (_, code, reason, message) = DECLINES.iter().find(|decline| decline.0 == name)?;
    Some(Outcome::Declined(Decline {
        code: (*code).to_owned(),
        reason: (*reason).to_owned(),
        message: (*message).to_owned(),
    }))
}

/// The brand and the last four digits that a token's card shows.
pub(crate) fn face(token: &str) -> (&'static str, &'static str) {
    match token {
        "pm_card_mastercard" => ("mastercard", "4444"),
        "pm_card_amex" => ("amex", "8431"),
        "pm_card_discover" => ("discover", "9424"),
        "pm_card_createDispute" => ("visa", "0259"),
        "pm_card_authenticationRequired" => ("visa", "3184"),
        _ if token.contains("chargeDeclined") => ("visa", "0002"),
        _ => ("visa", "4242"),
    }
}
