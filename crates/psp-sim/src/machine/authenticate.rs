use super::{Bank, Change, confirm};
use crate::{
    cards::{self, Decline},
    error::ApiError,
    model::{Fact, Kind, LastError, Status},
};

/// What the payer did on the page of their bank: with proof of who they are the bank decides about the charge,
/// without it the bank is never asked and the intent waits for another payment method.
pub(crate) fn authenticate(fact: &Fact, proved: bool, bank: &Bank<'_>) -> Result<Change, ApiError> {
    let mut intent = fact.intent.clone();
    let waiting = intent
        .payment_method
        .take()
        .filter(|_| intent.status == Status::RequiresAction);
    let Some(method) = waiting else {
        let message = "This PaymentIntent does not require an action.";
        return Err(ApiError::unexpected_state(&fact.intent, message));
    };
    if proved {
        return Ok(match cards::after_action(&method) {
            None => confirm::approve(intent, method, bank),
            Some(decline) => confirm::refuse(intent, method, &decline, bank),
        });
    }
    intent.status = Status::RequiresPaymentMethod;
    intent.last_error = Some(LastError {
        decline: Decline {
            code: "payment_intent_authentication_failure".to_owned(),
            reason: None,
            message: "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a \
                      new PaymentMethod to attempt to fulfill this PaymentIntent again."
                .to_owned(),
        },
        charge: None,
        payment_method: method,
    });
    let events = ["payment_intent.payment_failed"];
    let charge = fact.charge.clone();
    Ok(Change::of_intent(
        Kind::NotAuthenticated,
        intent,
        charge,
        &events,
    ))
}
