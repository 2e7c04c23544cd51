//! Stripe's own test payment methods: a token decides what the bank will say.

use serde::{Deserialize, Serialize};

use crate::model::{DisputeStatus, RefundStatus};

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
    /// The bank's reason, which the API calls `decline_code`; there is none where the bank was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
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

/// Tokens of cards that pay. What follows later, a dispute or a refund's failure, is told by the functions below.
const APPROVED: [&str; 10] = [
    "visa",
    "visa_debit",
    "mastercard",
    "amex",
    "discover",
    "createDispute",
    "createDisputeProductNotReceived",
    "createDisputeInquiry",
    "pendingRefund",
    "refundFail",
];

/// Tokens of cards whose holder must first prove who they are, and the refusal that still follows, if any.
const CHALLENGED: [(&str, Option<&str>); 3] = [
    ("authenticationRequired", None),
    ("threeDSecure2Required", None),
    (
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        Some("chargeDeclinedInsufficientFunds"),
    ),
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
    if CHALLENGED.iter().any(|card| card.0 == name) {
        return Some(Outcome::ActionRequired);
    }
    decline(name.strip_prefix("visa_").unwrap_or(name)).map(Outcome::Declined)
}

/// What the bank says after the payer has proved who they are; `None` is yes.
pub(crate) fn after_action(token: &str) -> Option<Decline> {
    let name = token.strip_prefix("pm_card_")?;
    let card = CHALLENGED.iter().find(|card| card.0 == name)?;
    decline(card.1?)
}

/// The reason for which a card's holder disputes every charge, and how the dispute begins.
pub(crate) fn complaint(token: &str) -> Option<(&'static str, DisputeStatus)> {
    match token {
        "pm_card_createDispute" => Some(("fraudulent", DisputeStatus::NeedsResponse)),
        "pm_card_createDisputeProductNotReceived" => {
            Some(("product_not_received", DisputeStatus::NeedsResponse))
        }
        "pm_card_createDisputeInquiry" => Some(("fraudulent", DisputeStatus::WarningNeedsResponse)),
        _ => None,
    }
}

/// What becomes of this card's refunds a little later: one that succeeds later begins as pending, and one that
/// fails later looked as if it had succeeded.
pub(crate) fn refund_fate(token: &str) -> Option<RefundStatus> {
    match token {
        "pm_card_pendingRefund" => Some(RefundStatus::Succeeded),
        "pm_card_refundFail" => Some(RefundStatus::Failed),
        _ => None,
    }
}

fn decline(name: &str) -> Option<Decline> {
    let (_, code, reason, message) = DECLINES.iter().find(|decline| decline.0 == name)?;
    Some(Decline {
        code: (*code).to_owned(),
        reason: Some((*reason).to_owned()),
        message: (*message).to_owned(),
    })
}

/// The brand and the last four digits that a token's card shows.
pub(crate) fn face(token: &str) -> (&'static str, &'static str) {
    match token {
        "pm_card_mastercard" => ("mastercard", "4444"),
        "pm_card_amex" => ("amex", "8431"),
        "pm_card_discover" => ("discover", "9424"),
        "pm_card_createDispute" => ("visa", "0259"),
        "pm_card_createDisputeProductNotReceived" => ("visa", "2685"),
        "pm_card_createDisputeInquiry" => ("visa", "1976"),
        "pm_card_pendingRefund" => ("visa", "7726"),
        "pm_card_refundFail" => ("visa", "5126"),
        "pm_card_authenticationRequired" => ("visa", "3184"),
        "pm_card_threeDSecure2Required" => ("visa", "3220"),
        _ if token.contains("chargeDeclined") => ("visa", "0002"),
        _ => ("visa", "4242"),
    }
}
