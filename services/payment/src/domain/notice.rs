//! What the provider tells, read as far as it can be. Pure.
//!
//! Everything that is signed gets a [`Notice`], whatever fields it lacks and whatever type it has: a delivery that
//! could not be read would be sent again for days, and an unknown one is no mistake.

use common::{
    events::Failure,
    ids::PaymentId,
    money::{Currency, Money},
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The longest text that is taken over from the provider, in characters.
const TEXT: usize = 300;
/// Every status of a payment intent that this version of the provider's API knows.
const STATUSES: [&str; 7] = [
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
];

/// A verified delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The provider's id of the event, the same at each delivery.
    pub event_id: String,
    /// The provider's type of the event.
    pub kind: String,
    /// What it is about.
    pub about: About,
}

impl Notice {
    /// The money that it tells of, where it does.
    pub fn money(&self) -> Option<Money> {
        match &self.about {
            About::Intent(news) => news.money(),
            About::Nothing(_) | About::Unreadable(_) | About::Charge { .. } => None,
        }
    }
}

/// What a delivery is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Nothing that moves a payment of ours, and why.
    Nothing(&'static str),
    /// A payment intent, told in a way that we do not understand.
    Unreadable(&'static str),
    /// A payment intent.
    Intent(Box<News>),
    /// Money that goes back, of this intent: the provider is asked for what there is of it.
    Charge {
        /// Which intent.
        intent: String,
    },
}

/// News of a payment intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Which intent.
    pub intent: String,
    /// The payment that we named when we opened it.
    pub payment_id: Option<PaymentId>,
    /// What it is for, in minor units.
    pub amount: i64,
    /// Its currency, in lower case.
    pub currency: String,
    /// What happened to it.
    pub what: What,
}

impl News {
    /// What was taken or held by it, or else what the intent is for; none in a currency that we do not know.
    pub fn money(&self) -> Option<Money> {
        let minor = match self.what {
            What::Captured { taken } => taken,
            What::Authorized { held } => held,
            What::Noted | What::Declined(_) | What::Cancelled(_) => self.amount,
        };
        let currency = Currency::parse(&self.currency.to_uppercase()).ok()?;
        Some(Money::new(minor, currency))
    }
}

/// What happened to an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Nothing that moves the payment.
    Noted,
    /// This much is held.
    Authorized {
        /// In minor units.
        held: i64,
    },
    /// This much was taken.
    Captured {
        /// In minor units.
        taken: i64,
    },
    /// One try was declined.
    Declined(Decline),
    /// It can never be paid any more, for the provider's reason.
    Cancelled(Option<String>),
}

/// The reasons after which no further try on the same intent is worth anything: the card was stolen, or the bank or the
/// provider takes it for fraud.
const FINAL: [&str; 6] = [
    "fraudulent",
    "lost_card",
    "merchant_blacklist",
    "pickup_card",
    "security_violation",
    "stolen_card",
];

/// A declined try.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decline {
    /// The provider's stable code.
    pub code: String,
    /// The bank's reason, where the provider tells it.
    pub decline_code: Option<String>,
    /// Its text for the donor.
    pub message: Option<String>,
    /// Tells cards apart without naming them.
    pub fingerprint: Option<String>,
    /// Whether it was no bank that declined: then it counts against nobody.
    pub excused: bool,
}

impl Decline {
    /// Whether the intent is not to be tried again, after this one decline.
    pub fn is_final(&self) -> bool {
        let reason = self.decline_code.as_deref();
        reason.is_some_and(|reason| FINAL.contains(&reason))
    }

    /// As snapshots tell it.
    pub fn failure(&self) -> Failure {
        Failure {
            code: self.code.clone(),
            message: self.message.clone(),
        }
    }
}

/// What is signed and yet no event: it has no id or type to be stored under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not an event with an id and a type")]
pub struct Malformed;

#[derive(Deserialize)]
struct Envelope<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    livemode: bool,
    account: Option<String>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Intent {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    #[serde(default)]
    amount_received: i64,
    #[serde(default)]
    amount_capturable: i64,
    #[serde(default)]
    metadata: Metadata,
    cancellation_reason: Option<String>,
    last_payment_error: Option<LastError>,
}

#[derive(Deserialize)]
struct Child {
    payment_intent: Option<String>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    payment_id: Option<String>,
}

#[derive(Deserialize)]
struct LastError {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    payment_method: Option<Method>,
}

#[derive(Deserialize)]
struct Method {
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    fingerprint: Option<String>,
}

impl Notice {
    /// Reads a delivery. `livemode` says whether we take real money: a test event must not move a real payment.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(body: &[u8], livemode: bool) -> Result<Self, Malformed> {
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|_| Malformed)?;
        if !is_name(&envelope.id) || !is_name(&envelope.kind) {
            return Err(Malformed);
        }
        let about = match &envelope {
            Envelope {
                livemode: theirs, ..
            } if *theirs != livemode => About::Nothing("of the other mode, live or test"),
            Envelope {
                account: Some(_), ..
            } => About::Nothing("of another account"),
            Envelope { kind, data, .. } if kind.starts_with("payment_intent.") => {
                about(kind, data.as_ref().and_then(|data| data.object))
            }
            Envelope { kind, data, .. } if goes_back(kind) => {
                charge(data.as_ref().and_then(|data| data.object))
            }
            _ => About::Nothing("of a type that moves no payment"),
        };
        Ok(Self {
            event_id: envelope.id,
            kind: envelope.kind,
            about,
        })
    }
}

impl Notice {
    /// Whether it tells of anything that a payment, or whoever looks after it, has to know.
    pub fn matters(&self) -> bool {
        match &self.about {
            About::Nothing(_) => false,
            About::Intent(news) => news.what != What::Noted,
            About::Charge { .. } | About::Unreadable(_) => true,
        }
    }
}

/// Whether an event of this type tells of money that goes back.
fn goes_back(kind: &str) -> bool {
    kind == "charge.refunded"
        || ["charge.refund.", "charge.dispute.", "refund."]
            .iter()
            .any(|start| kind.starts_with(start))
}

/// Charges, refunds and disputes all name their intent, and nothing else of them is believed.
fn charge(object: Option<&RawValue>) -> About {
    let child = object.and_then(|raw| serde_json::from_str::<Child>(raw.get()).ok());
    match child.map(|child| child.payment_intent) {
        Some(Some(intent)) if is_reference(&intent) => About::Charge { intent },
        Some(None) => About::Nothing("of a charge without an intent, and so not of ours"),
        _ => About::Unreadable("it names no intent"),
    }
}

/// Printable ASCII without spaces, of a length that an index takes.
pub fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Letters, digits and underscores: what the provider's ids are made of, and safe in a path.
pub fn is_reference(id: &str) -> bool {
    (1..=255).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn about(kind: &str, object: Option<&RawValue>) -> About {
    let intent = object.and_then(|raw| serde_json::from_str::<Intent>(raw.get()).ok());
    let Some(intent) = intent.filter(|intent| is_reference(&intent.id)) else {
        return About::Unreadable("its object is not a payment intent");
    };
    if !STATUSES.contains(&intent.status.as_str()) {
        return About::Unreadable("its status is unknown");
    }
    let what = match (kind, intent.status.as_str()) {
        ("payment_intent.succeeded", "succeeded") => What::Captured {
            taken: intent.amount_received,
        },
        ("payment_intent.amount_capturable_updated", "requires_capture") => What::Authorized {
            held: intent.amount_capturable,
        },
        ("payment_intent.canceled", "canceled") => {
            What::Cancelled(intent.cancellation_reason.map(|reason| plain(&reason)))
        }
        ("payment_intent.payment_failed", _) => What::Declined(decline(intent.last_payment_error)),
        (
            "payment_intent.succeeded"
            | "payment_intent.amount_capturable_updated"
            | "payment_intent.canceled",
            _,
        ) => return About::Unreadable("its status contradicts its type"),
        (
            "payment_intent.created"
            | "payment_intent.processing"
            | "payment_intent.requires_action",
            _,
        ) => What::Noted,
        _ => return About::Nothing("of a type that moves no payment"),
    };
    About::Intent(Box::new(News {
        payment_id: intent.metadata.payment_id.and_then(|id| id.parse().ok()),
        intent: intent.id,
        amount: intent.amount,
        currency: intent.currency.to_lowercase(),
        what,
    }))
}

fn decline(error: Option<LastError>) -> Decline {
    let unknown = || "unknown".to_owned();
    let Some(error) = error else {
        return Decline {
            code: unknown(),
            ..Decline::default()
        };
    };
    let card = error.payment_method.and_then(|method| method.card);
    Decline {
        code: error.code.map_or_else(unknown, |code| plain(&code)),
        decline_code: error.decline_code.map(|code| plain(&code)),
        message: error.message.map(|message| plain(&message)),
        fingerprint: card
            .and_then(|card| card.fingerprint)
            .map(|fingerprint| plain(&fingerprint)),
        excused: error.kind.is_some_and(|kind| kind != "card_error"),
    }
}

/// Text without control characters (PostgreSQL refuses NUL) and of bounded length.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(TEXT)
        .collect()
}
