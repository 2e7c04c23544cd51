use super::{Bank, Change};
use crate::{
    error::ApiError,
    model::{Fact, Kind, Status},
};

/// Ends an intent that has taken no money; a held amount is released, which shows in no refund.
pub(crate) fn cancel(
    fact: &Fact,
    reason: Option<String>,
    bank: &Bank<'_>,
) -> Result<Change, ApiError> {
    let status = fact.intent.status;
    if matches!(
        status,
        Status::Succeeded | Status::Canceled | Status::Processing
    ) {
        let message = format!(
            "You cannot cancel this PaymentIntent because it has a status of {status}. Only a PaymentIntent with one of \
             the following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, \
             requires_action."
        );
        return Err(ApiError::unexpected_state(&fact.intent, message));
    }
    let events = ["payment_intent.canceled"];
    Ok(end(Kind::Canceled, fact, reason, &events, bank))
}

/// What becomes of a hold that nobody captured in time.
pub(super) fn expire(fact: &Fact, bank: &Bank<'_>) -> Change {
    let events = ["charge.expired", "payment_intent.canceled"];
    // Called `automatic` until Stripe's version `2025-03-31.basil`.
    let reason = Some("expired".to_owned());
    end(Kind::HoldExpired, fact, reason, &events, bank)
}

fn end(
    kind: Kind,
    fact: &Fact,
    reason: Option<String>,
    events: &[&'static str],
    bank: &Bank<'_>,
) -> Change {
    let mut intent = fact.intent.clone();
    intent.status = Status::Canceled;
    intent.capturable = 0;
    intent.canceled_at = Some(bank.now());
    intent.cancellation_reason = reason;
    Change::of_intent(kind, intent, fact.charge.clone(), events)
}
