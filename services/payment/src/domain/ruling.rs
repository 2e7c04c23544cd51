//! What a delivery does to a payment: decided without any I/O, on the payment as it is locked. Pure.

use chrono::{DateTime, Utc};
use common::payment::{Event, State, Step};

use super::{
    call::Outcome,
    notice::{News, What},
    payment::{Change, Payment, Told},
};

/// What was decided about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The payment went along, or a decline was logged.
    Applied,
    /// The payment went along, over steps that nobody had told of yet.
    Implied,
    /// It is so already, or the same event came before.
    Duplicate,
    /// News from before.
    Stale,
    /// It cannot be true together with what we know: nothing moves until the provider was asked.
    Conflict,
    /// We know no such payment.
    Parked,
    /// It cannot be believed or understood: nothing moves.
    Quarantined,
    /// It does not concern our payments.
    Ignored,
}

impl Verdict {
    /// The spelling in SQL and in replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "APPLIED",
            Self::Implied => "IMPLIED",
            Self::Duplicate => "DUPLICATE",
            Self::Stale => "STALE",
            Self::Conflict => "CONFLICT",
            Self::Parked => "PARKED",
            Self::Quarantined => "QUARANTINED",
            Self::Ignored => "IGNORED",
        }
    }

    /// Every verdict.
    pub const ALL: [Self; 8] = [
        Self::Applied,
        Self::Implied,
        Self::Duplicate,
        Self::Stale,
        Self::Conflict,
        Self::Parked,
        Self::Quarantined,
        Self::Ignored,
    ];

    /// Reads the spelling in SQL and in replies.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
    }

    /// The alarm that a person must hear, where nothing else settles it.
    pub const fn alarm(self) -> Option<&'static str> {
        match self {
            Self::Conflict => Some("webhook_conflict"),
            Self::Quarantined => Some("webhook_quarantined"),
            // What is parked is matched later, or given up with an alarm of its own.
            Self::Applied
            | Self::Implied
            | Self::Duplicate
            | Self::Stale
            | Self::Parked
            | Self::Ignored => None,
        }
    }
}

/// A verdict, why, and what it changed.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, where the verdict does not say it all.
    pub detail: Option<&'static str>,
    /// The change of the payment, if it went along.
    pub change: Option<Change>,
}

impl Ruling {
    /// A ruling that changes nothing.
    pub const fn of(verdict: Verdict, detail: &'static str) -> Self {
        Self {
            verdict,
            detail: Some(detail),
            change: None,
        }
    }
}

/// Decides what `news` do to `payment`, and does it.
///
/// Amounts are not taken from the message alone: currency and amount must be the ones that we asked for, and no more
/// can be held or taken than that. Taking less is legal, but believed only where it is the capture that we `ordered`;
/// otherwise the provider is asked, and what it shows counts.
pub fn rule(
    payment: &mut Payment,
    news: &News,
    ordered: Option<i64>,
    now: DateTime<Utc>,
) -> Ruling {
    use Verdict::{Applied, Conflict, Duplicate, Ignored, Implied, Quarantined, Stale};
    if !is_asked_for(payment, news.amount, &news.currency) {
        return Ruling::of(Quarantined, "amount or currency is not what we asked for");
    }
    let moved = match event_of(payment, &news.what) {
        Ok(moved) => moved,
        Err(why) => return Ruling::of(Quarantined, why),
    };
    if let Err(conflict) = recognise(payment, news) {
        return Ruling::of(Conflict, conflict);
    }
    let healed = payment.provider_ref.is_none();
    if healed {
        // The provider answered and we did not live to record it: its webhook names our payment.
        payment.provider_ref = Some(news.intent.clone());
        payment.outcome = Outcome::Known;
    }
    let Some((event, told)) = moved else {
        return if healed {
            Ruling::of(Applied, "the intent was recorded")
        } else {
            Ruling::of(Ignored, "it moves nothing")
        };
    };
    if is_short(payment, event, told.minor) && ordered != Some(told.minor) {
        return Ruling::of(Conflict, "less than we asked for, in nobody's order");
    }
    match payment.hear(event, told, now) {
        Ok(change) => Ruling {
            verdict: if change.event.implied.is_empty() {
                Applied
            } else {
                Implied
            },
            detail: None,
            change: Some(change),
        },
        Err(Step::Duplicate) if event == Event::Captured && told.minor != payment.captured => {
            Ruling::of(Conflict, "another amount was captured before")
        }
        Err(Step::Duplicate) => Ruling::of(Duplicate, "the payment stands there already"),
        Err(Step::Stale) => Ruling::of(Stale, "the payment has gone on since"),
        Err(_) => Ruling::of(Conflict, "the payment's state contradicts it"),
    }
}

/// Whether the intent is the payment's own.
fn recognise(payment: &Payment, news: &News) -> Result<(), &'static str> {
    if news
        .payment_id
        .is_some_and(|named| named != payment.payment_id)
    {
        return Err("the intent names another payment");
    }
    match &payment.provider_ref {
        Some(ours) if *ours == news.intent => Ok(()),
        Some(_) => Err("the payment has another intent"),
        None if payment.outcome == Outcome::None => Err("nobody asked for this intent"),
        None => Ok(()),
    }
}

/// Whether it tells of less than we asked for, where that would move the payment.
fn is_short(payment: &Payment, event: Event, minor: i64) -> bool {
    let moves = match event {
        Event::Authorized => payment.state == State::Pending,
        Event::Captured => payment.state.is_live(),
        _ => false,
    };
    moves && minor < payment.amount.minor
}

/// Whether this is the amount and the currency that we asked for.
pub(super) fn is_asked_for(payment: &Payment, amount: i64, currency: &str) -> bool {
    let asked_for = payment.amount;
    amount == asked_for.minor && currency.eq_ignore_ascii_case(asked_for.currency.as_str())
}

/// The machine's event of what happened to an intent, if it moves anything, and what came with it.
///
/// # Errors
/// When an amount is not one that we asked for; the reason says so.
pub(super) fn event_of<'a>(
    payment: &Payment,
    what: &'a What,
) -> Result<Option<(Event, Told<'a>)>, &'static str> {
    let (event, minor) = match what {
        What::Noted => return Ok(None),
        What::Declined(decline) => {
            let told = Told {
                decline: Some(decline),
                ..Told::default()
            };
            return Ok(Some((Event::Declined, told)));
        }
        What::Cancelled(reason) => {
            let event = end_of(payment, reason.as_deref());
            return Ok(Some((event, Told::default())));
        }
        What::Authorized { held } => (Event::Authorized, *held),
        What::Captured { taken } => (Event::Captured, *taken),
    };
    if !(1..=payment.amount.minor).contains(&minor) {
        return Err("more than we asked for, or nothing");
    }
    let told = Told {
        minor,
        ..Told::default()
    };
    Ok(Some((event, told)))
}

/// How a cancelled intent ends its payment: by who asked for it.
fn end_of(payment: &Payment, reason: Option<&str>) -> Event {
    if let Some(ending) = payment.ending {
        return ending.event();
    }
    match reason {
        Some("requested_by_customer" | "duplicate") => Event::Cancelled,
        Some("fraudulent" | "failed_invoice" | "void_invoice") => Event::Failed,
        Some("abandoned" | "automatic" | "expired") => Event::Expired,
        // Nobody asked: a hold that ran out, or an intent that was called off in the provider's own tools.
        _ if payment.state == State::Authorized => Event::Expired,
        _ => Event::Cancelled,
    }
}
