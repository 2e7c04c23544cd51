//! What a call does to an intent. Pure: the state goes in, the state after it and its events come out.

use std::sync::Arc;

use crate::{
    cards::{self, Outcome},
    error::ApiError,
    ids,
    model::{CaptureMethod, Charge, Fact, Intent, Kind, LastError, Status, Terms, Transaction},
};

/// How long a card's issuer holds an amount that is not captured, in seconds.
const HOLD: i64 = 7 * 24 * 3600;

/// What a call has done.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    pub(crate) intent: Intent,
    pub(crate) charge: Option<Charge>,
    pub(crate) events: &'static [&'static str],
    /// A decline changes the intent and refuses the call at the same time.
    pub(crate) refusal: Option<ApiError>,
}

/// Begins an intent.
pub(crate) fn create(terms: Terms) -> Change {
    let intent = Intent {
        terms: Arc::new(terms),
        status: Status::RequiresPaymentMethod,
        capturable: 0,
        received: 0,
        payment_method: None,
        latest_charge: None,
        last_error: None,
        canceled_at: None,
        cancellation_reason: None,
    };
    let events = &["payment_intent.created"];
    Change {
        kind: Kind::Created,
        intent,
        charge: None,
        events,
        refusal: None,
    }
}

/// Tries to take the money with the payment method `token`, or with the one that the intent has.
/// `now` is in Unix seconds.
pub(crate) fn confirm(fact: &Fact, token: Option<String>, now: i64) -> Result<Change, ApiError> {
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
        Outcome::Approved => Ok(approve(intent, method, now)),
        Outcome::Declined(decline) => {
            let charge = Charge {
                id: ids::object("ch"),
                created: now,
                payment_method: method.clone(),
                captured: false,
                amount_captured: 0,
                decline: Some(decline.clone()),
                capture_before: None,
                transaction: None,
            };
            intent.status = Status::RequiresPaymentMethod;
            intent.payment_method = None;
            intent.latest_charge = Some(charge.id.clone());
            let id = charge.id.clone();
            intent.last_error = Some(LastError {
                decline: decline.clone(),
                charge: id,
                payment_method: method,
            });
            let refusal = Some(ApiError::declined(&intent, &decline, &charge.id));
            let events = &["charge.failed", "payment_intent.payment_failed"];
            Ok(Change {
                kind: Kind::Declined,
                intent,
                charge: Some(charge),
                events,
                refusal,
            })
        }
        Outcome::ActionRequired => {
            intent.status = Status::RequiresAction;
            intent.payment_method = Some(method);
            let events = &["payment_intent.requires_action"];
            Ok(Change {
                kind: Kind::ActionRequired,
                intent,
                charge,
                events,
                refusal: None,
            })
        }
        Outcome::Processing => {
            intent.status = Status::Processing;
            intent.payment_method = Some(method);
            let events = &["payment_intent.processing"];
            Ok(Change {
                kind: Kind::Processing,
                intent,
                charge,
                events,
                refusal: None,
            })
        }
    }
}

fn approve(mut intent: Intent, method: String, now: i64) -> Change {
    let terms = intent.terms.clone();
    let manual = terms.capture_method == CaptureMethod::Manual;
    let charge = Charge {
        id: ids::object("ch"),
        created: now,
        payment_method: method.clone(),
        captured: !manual,
        amount_captured: if manual { 0 } else { terms.amount },
        decline: None,
        capture_before: manual.then_some(now + HOLD),
        transaction: None,
    };
    intent.payment_method = Some(method);
    intent.latest_charge = Some(charge.id.clone());
    let (kind, events): (_, &'static [_]) = if manual {
        intent.status = Status::RequiresCapture;
        intent.capturable = terms.amount;
        (
            Kind::Authorized,
            &[
                "charge.succeeded",
                "payment_intent.amount_capturable_updated",
            ],
        )
    } else {
        intent.status = Status::Succeeded;
        intent.received = terms.amount;
        (
            Kind::Charged,
            &["charge.succeeded", "payment_intent.succeeded"],
        )
    };
    Change {
        kind,
        intent,
        charge: Some(charge),
        events,
        refusal: None,
    }
}

/// Takes what is held, or a part of it; the rest is released, and since Stripe's version `2025-03-31.basil`
/// that release shows neither as a refund nor in `amount_refunded`.
pub(crate) fn capture(fact: &Fact, amount: Option<i64>) -> Result<Change, ApiError> {
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
    let events = &["charge.captured", "payment_intent.succeeded"];
    Ok(Change {
        kind: Kind::Captured,
        intent,
        charge: Some(charge),
        events,
        refusal: None,
    })
}

/// Ends an intent that has taken no money; a held amount is released.
pub(crate) fn cancel(fact: &Fact, reason: Option<String>, now: i64) -> Result<Change, ApiError> {
    let mut intent = fact.intent.clone();
    if matches!(
        intent.status,
        Status::Succeeded | Status::Canceled | Status::Processing
    ) {
        let message = format!(
            "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the \
             following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, \
             requires_action.",
            intent.status
        );
        return Err(ApiError::unexpected_state(&intent, message));
    }
    intent.status = Status::Canceled;
    intent.capturable = 0;
    intent.canceled_at = Some(now);
    intent.cancellation_reason = reason;
    let charge = fact.charge.clone();
    let events = &["payment_intent.canceled"];
    Ok(Change {
        kind: Kind::Canceled,
        intent,
        charge,
        events,
        refusal: None,
    })
}

/// Enters a captured charge into the account's balance; `None` where there is nothing to enter, or no more.
pub(crate) fn book(fact: &Fact, transaction: Transaction) -> Option<Change> {
    let intent = fact.intent.clone();
    let mut charge = fact
        .charge
        .clone()
        .filter(|charge| charge.captured && charge.transaction.is_none())?;
    charge.transaction = Some(transaction);
    let events = &["charge.updated"];
    Some(Change {
        kind: Kind::Booked,
        intent,
        charge: Some(charge),
        events,
        refusal: None,
    })
}
