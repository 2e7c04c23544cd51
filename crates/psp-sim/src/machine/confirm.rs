use super::{Bank, Change};
use crate::{
    cards::{self, Decline, Outcome},
    error::ApiError,
    ids,
    model::{CaptureMethod, Charge, Fact, Intent, Kind, LastError, Status},
};

/// Tries to take the money with the payment method `token`, or with the one that the intent has.
pub(crate) fn confirm(
    fact: &Fact,
    token: Option<String>,
    return_url: Option<String>,
    bank: &Bank<'_>,
) -> Result<Change, ApiError> {
    let mut intent = fact.intent.clone();
    match intent.status {
        Status::RequiresPaymentMethod | Status::RequiresAction => {}
        Status::Succeeded | Status::RequiresCapture | Status::Processing => {
            let done = if intent.status == Status::Processing {
                "is processing"
            } else {
                "has already succeeded"
            };
            let message = format!(
                "You cannot confirm this PaymentIntent because it {done} after being previously confirmed."
            );
            return Err(ApiError::unexpected_state(&intent, message));
        }
        Status::Canceled => {
            let message = "You cannot confirm this PaymentIntent because it has a status of canceled. Only a \
                           PaymentIntent with one of the following statuses may be confirmed: \
                           requires_payment_method, requires_confirmation, requires_action.";
            return Err(ApiError::unexpected_state(&intent, message));
        }
    }
    let Some(method) = token.or_else(|| intent.payment_method.clone()) else {
        let message =
            "You cannot confirm this PaymentIntent because it's missing a payment method.";
        return Err(ApiError::unexpected_state(&intent, message));
    };
    let Some(outcome) = cards::outcome(&method) else {
        let message = format!("No such PaymentMethod: '{method}'");
        return Err(ApiError::invalid(message)
            .code("resource_missing")
            .param("payment_method"));
    };
    intent.last_error = None;
    let charge = fact.charge.clone();
    match outcome {
        Outcome::Approved => Ok(approve(intent, method, bank)),
        Outcome::Declined(decline) => Ok(refuse(intent, method, &decline, bank)),
        Outcome::ActionRequired => {
            intent.status = Status::RequiresAction;
            intent.payment_method = Some(method);
            intent.return_url = return_url;
            intent.action_url = Some(bank.challenge(&intent.terms));
            let events = ["payment_intent.requires_action"];
            Ok(Change::of_intent(
                Kind::ActionRequired,
                intent,
                charge,
                &events,
            ))
        }
        Outcome::Processing => {
            intent.status = Status::Processing;
            intent.payment_method = Some(method);
            let events = ["payment_intent.processing"];
            Ok(Change::of_intent(Kind::Processing, intent, charge, &events))
        }
    }
}

/// The bank says yes.
pub(super) fn approve(mut intent: Intent, method: String, bank: &Bank<'_>) -> Change {
    let terms = intent.terms.clone();
    let manual = terms.capture_method == CaptureMethod::Manual;
    let mut charge = Charge::new(ids::object("ch", bank.now()), bank.now(), method.clone());
    intent.payment_method = Some(method);
    intent.latest_charge = Some(charge.id.clone());
    intent.last_error = None;
    if manual {
        charge.capture_before = Some(bank.seconds_after(bank.rules.hold));
        intent.status = Status::RequiresCapture;
        intent.capturable = terms.amount;
        let events = [
            "charge.succeeded",
            "payment_intent.amount_capturable_updated",
        ];
        return Change::of_intent(Kind::Authorized, intent, Some(charge), &events);
    }
    charge.captured = true;
    charge.amount_captured = terms.amount;
    charge.disputed_at = disputed_at(&charge, bank);
    if terms.capture_method == CaptureMethod::Automatic {
        charge.transaction = Some(bank.charge(&charge.id, terms.amount));
    }
    intent.status = Status::Succeeded;
    intent.received = terms.amount;
    let events = ["charge.succeeded", "payment_intent.succeeded"];
    Change::of_intent(Kind::Charged, intent, Some(charge), &events)
}

/// The bank says no; another try on the same intent may succeed.
pub(super) fn refuse(
    mut intent: Intent,
    method: String,
    decline: &Decline,
    bank: &Bank<'_>,
) -> Change {
    let mut charge = Charge::new(ids::object("ch", bank.now()), bank.now(), method.clone());
    charge.decline = Some(decline.clone());
    intent.status = Status::RequiresPaymentMethod;
    intent.payment_method = None;
    intent.latest_charge = Some(charge.id.clone());
    let refusal = {
        intent.last_error = Some(LastError {
            decline: decline.clone(),
            charge: Some(charge.id.clone()),
            payment_method: method,
        });
        Some(ApiError::declined(&intent, decline, &charge.id))
    };
    let events = ["charge.failed", "payment_intent.payment_failed"];
    Change {
        refusal,
        ..Change::of_intent(Kind::Declined, intent, Some(charge), &events)
    }
}

/// When the holder of this card will complain about a charge that was captured now.
pub(super) fn disputed_at(charge: &Charge, bank: &Bank<'_>) -> Option<i64> {
    let complains = cards::complaint(&charge.payment_method).is_some();
    complains.then(|| bank.after(bank.rules.turn_after))
}
