//! What an intent as it stands at the provider does to its payment: the same rules as for a delivery, for what was
//! read and not told. Pure.

use chrono::{DateTime, Utc};
use common::payment::{Event, Step};

use super::{
    call::Outcome,
    notice::What,
    payment::{Change, Payment},
    ruling::{event_of, is_asked_for},
};

/// An intent as the provider has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub intent: String,
    /// Where it stands, in the provider's words.
    pub status: String,
    /// What it is for, in minor units.
    pub amount: i64,
    /// Its currency, in whichever case.
    pub currency: String,
    /// Taken so far, in minor units.
    pub received: i64,
    /// Held and not taken yet, in minor units.
    pub capturable: i64,
    /// Why it was cancelled, if so.
    pub cancellation_reason: Option<String>,
}

/// What seeing an intent comes to.
#[derive(Clone, Debug)]
pub enum Observation {
    /// The payment went along.
    Change(Box<Change>),
    /// The payment has learned its intent, and nothing else: the row is to be saved, there is nothing to tell.
    Recorded,
    /// It stands there already, or the intent moves nothing.
    Nothing,
    /// It cannot be true together with what we know, for this reason: nothing moved.
    Contradiction(&'static str),
}

impl Seen {
    /// What it says of itself. A declined try is told by its event, once for each try; here it would be told again
    /// each time that somebody looks.
    fn what(&self) -> What {
        match self.status.as_str() {
            "succeeded" => What::Captured {
                taken: self.received,
            },
            "requires_capture" => What::Authorized {
                held: self.capturable,
            },
            "canceled" => What::Cancelled(self.cancellation_reason.clone()),
            _ => What::Noted,
        }
    }
}

/// Moves `payment`, as it is locked, to where its intent stands.
///
/// Money on an ended payment is a contradiction, as is an end after a capture, another amount or currency than ours,
/// or another intent than the payment's own.
pub fn observe(payment: &mut Payment, intent: &Seen, now: DateTime<Utc>) -> Observation {
    use Observation::{Contradiction, Nothing, Recorded};
    if !is_asked_for(payment, intent.amount, &intent.currency) {
        return Contradiction("amount or currency is not what we asked for");
    }
    let what = intent.what();
    let moved = match event_of(payment, &what) {
        Ok(moved) => moved,
        Err(why) => return Contradiction(why),
    };
    match &payment.provider_ref {
        Some(ours) if *ours != intent.intent => {
            return Contradiction("the payment has another intent");
        }
        None if payment.outcome == Outcome::None => {
            return Contradiction("nobody asked for this intent");
        }
        _ => {}
    }
    let healed = payment.provider_ref.is_none();
    if healed {
        payment.provider_ref = Some(intent.intent.clone());
        payment.outcome = Outcome::Known;
    }
    let quiet = if healed { Recorded } else { Nothing };
    let Some((event, told)) = moved else {
        return quiet;
    };
    match payment.hear(event, told, now) {
        Ok(change) => Observation::Change(Box::new(change)),
        Err(Step::Duplicate) if event == Event::Captured && told.minor != payment.captured => {
            Contradiction("another amount was captured before")
        }
        Err(Step::Contradiction) => Contradiction("the payment's state contradicts it"),
        Err(_) => quiet,
    }
}
