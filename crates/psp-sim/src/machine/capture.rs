use super::{Bank, Change, confirm};
use crate::{
    error::ApiError,
    model::{Fact, Kind, Status},
};

/// Takes what is held, or a part of it; the rest is released, and since Stripe's version `2025-03-31.basil`
/// that release shows neither as a refund nor in `amount_refunded`.
pub(crate) fn capture(
    fact: &Fact,
    amount: Option<i64>,
    bank: &Bank<'_>,
) -> Result<Change, ApiError> {
    let mut intent = fact.intent.clone();
    let held = fact
        .charge
        .clone()
        .filter(|_| intent.status == Status::RequiresCapture);
    let Some(mut charge) = held else {
        let message = if intent.status == Status::Succeeded {
            "This PaymentIntent could not be captured because it has already been captured."
                .to_owned()
        } else {
            format!(
                "This PaymentIntent could not be captured because it has a status of {}. Only a PaymentIntent with \
                 one of the following statuses may be captured: requires_capture.",
                intent.status
            )
        };
        return Err(ApiError::unexpected_state(&intent, message));
    };
    let amount = amount.unwrap_or(intent.capturable);
    if amount > intent.capturable {
        let message = "The requested capture amount is greater than the authorized amount.";
        return Err(ApiError::invalid(message)
            .code("amount_too_large")
            .param("amount_to_capture"));
    }
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(ApiError::invalid(message)
            .code("parameter_invalid_integer")
            .param("amount_to_capture"));
    }
    intent.status = Status::Succeeded;
    intent.capturable = 0;
    intent.received = amount;
    charge.captured = true;
    charge.amount_captured = amount;
    charge.capture_before = None;
    charge.disputed_at = confirm::disputed_at(&charge, bank);
    let events = ["charge.captured", "payment_intent.succeeded"];
    Ok(Change::of_intent(
        Kind::Captured,
        intent,
        Some(charge),
        &events,
    ))
}

/// Enters a captured charge into the account's balance; `None` where there is nothing to enter, or no more.
pub(crate) fn book(fact: &Fact, bank: &Bank<'_>) -> Option<Change> {
    let mut charge = fact
        .charge
        .clone()
        .filter(|charge| charge.captured && charge.transaction.is_none())?;
    charge.transaction = Some(bank.charge(&charge.id, charge.amount_captured));
    let events = ["charge.updated"];
    let intent = fact.intent.clone();
    Some(Change::of_intent(
        Kind::Booked,
        intent,
        Some(charge),
        &events,
    ))
}
