//! A payment, and the changes it can go through.

use chrono::{DateTime, Utc};
use common::{
    events::{Capture, Failure, PaymentEvent, PaymentKind},
    ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId},
    money::{Extras, Money},
    payment::{Event, State, Step, apply},
};

use super::{
    Decline, Ending,
    booking::{Moved, Standing},
    call::{Frozen, Outcome},
    origin::Origin,
};

/// The one provider, as events and tables name it.
pub const PROVIDER: &str = "stripe";

/// One attempt to have a pledge paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// A function of pledge and attempt.
    pub payment_id: PaymentId,
    /// Of which pledge.
    pub pledge_id: PledgeId,
    /// For which campaign.
    pub campaign_id: CampaignId,
    /// The donor's account, unless a guest gives.
    pub donor_id: Option<UserId>,
    /// Who gives, as a pseudonym.
    pub donor_ref: String,
    /// Whom to thank.
    pub contact_id: ContactId,
    /// Which try of the pledge, from 1.
    pub attempt: i32,
    /// Where it stands.
    pub state: State,
    /// What the donor promised: the whole charge.
    pub amount: Money,
    /// How much of it is not the gift.
    pub extras: Extras,
    /// When the money is taken.
    pub capture: Capture,
    /// Held or taken so far, in minor units.
    pub authorized: i64,
    /// Taken so far, in minor units.
    pub captured: i64,
    /// Given back so far, in minor units.
    pub refunded: i64,
    /// Lost in disputes so far, in minor units.
    pub disputed: i64,
    /// The one intent at the provider, once we know it.
    pub provider_ref: Option<String>,
    /// What is known about the call that opens it.
    pub outcome: Outcome,
    /// Why the last try did not work, if so.
    pub failure: Option<Failure>,
    /// Who called it off, if anybody has; the provider may not have agreed yet.
    pub ending: Option<Ending>,
    /// When the pledge lapses.
    pub expires_at: DateTime<Utc>,
    /// Version of the last snapshot.
    pub version: i64,
    /// The trace that its changes go on with.
    pub traceparent: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
}

/// One row of a payment's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Where it stood.
    pub from: State,
    /// Where it went.
    pub to: State,
    /// Whether nobody told of this step, but of a later one.
    pub implied: bool,
}

/// A change of a payment: its history's rows and the snapshot that tells of it.
#[derive(Clone, Debug)]
pub struct Change {
    /// In their order; empty where it stays where it stood.
    pub transitions: Vec<Transition>,
    /// The declined try, if it was one.
    pub decline: Option<Decline>,
    /// What the books are to tell of it.
    pub moved: Moved,
    /// The snapshot after the change.
    pub event: PaymentEvent,
}

impl Payment {
    /// The first attempt of a pledge, and the snapshot that tells of it.
    pub fn first(origin: Origin, now: DateTime<Utc>) -> (Self, PaymentEvent) {
        Self::attempt(origin, 1, now)
    }

    /// The next attempt of the same pledge, after this one has ended.
    pub fn again(&self, now: DateTime<Utc>) -> (Self, PaymentEvent) {
        let origin = Origin {
            pledge_id: self.pledge_id,
            campaign_id: self.campaign_id,
            donor_id: self.donor_id,
            donor_ref: self.donor_ref.clone(),
            contact_id: self.contact_id,
            amount: self.amount,
            extras: self.extras,
            capture: self.capture,
            expires_at: self.expires_at,
            traceparent: self.traceparent.clone(),
        };
        Self::attempt(origin, self.attempt + 1, now)
    }

    /// Whether the pledge may be paid by another attempt, as far as this one, its last, can tell: the provider can
    /// never charge it, the pledge has not lapsed, and neither the donor nor an admin called it off. What the provider
    /// refused to open would be refused again.
    pub fn may_follow(&self, now: DateTime<Utc>) -> bool {
        let ended = match (self.state, self.ending) {
            (_, Some(Ending::Donor | Ending::Admin)) => false,
            (State::Failed, ending) => ending == Some(Ending::Declines),
            (State::Expired | State::Cancelled, _) => true,
            _ => false,
        };
        ended && self.expires_at > now
    }

    /// Whether its intent may be opened, or is open, and nobody has called it off.
    pub fn may_be_paid(&self) -> bool {
        self.state.is_live() && self.ending.is_none()
    }

    fn attempt(origin: Origin, attempt: i32, now: DateTime<Utc>) -> (Self, PaymentEvent) {
        let payment = Self {
            payment_id: PaymentId::of(origin.pledge_id, attempt),
            pledge_id: origin.pledge_id,
            campaign_id: origin.campaign_id,
            donor_id: origin.donor_id,
            donor_ref: origin.donor_ref,
            contact_id: origin.contact_id,
            attempt,
            state: State::Pending,
            amount: origin.amount,
            extras: origin.extras,
            capture: origin.capture,
            authorized: 0,
            captured: 0,
            refunded: 0,
            disputed: 0,
            provider_ref: None,
            outcome: Outcome::None,
            failure: None,
            ending: None,
            expires_at: origin.expires_at,
            version: 1,
            traceparent: origin.traceparent,
            created_at: now,
            updated_at: now,
        };
        let event = payment.snapshot(PaymentKind::Created, None, Vec::new());
        (payment, event)
    }

    /// The call that opens its intent. A function of the pledge's facts alone, and stored with the first of them.
    pub fn frozen(&self) -> Frozen {
        let payment_id = self.payment_id.to_string();
        let amount = self.amount.minor.to_string();
        let currency = self.amount.currency.as_str().to_lowercase();
        let pledge_id = self.pledge_id.to_string();
        let campaign_id = self.campaign_id.to_string();
        let request = serde_urlencoded::to_string([
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("capture_method", self.capture.as_str()),
            ("payment_method_types[]", "card"),
            ("metadata[payment_id]", &payment_id),
            ("metadata[pledge_id]", &pledge_id),
            ("metadata[campaign_id]", &campaign_id),
        ])
        .unwrap_or_else(|_| unreachable!("pairs of text always make a form"));
        Frozen {
            key: format!("pay:{payment_id}"),
            request: request.into_bytes(),
        }
    }

    /// Applies `event` by the machine's table. A change is made here, and everything else leaves the payment alone.
    pub fn hear(
        &mut self,
        event: Event,
        told: Told<'_>,
        now: DateTime<Utc>,
    ) -> Result<Change, Step> {
        match apply(self.state, event) {
            Step::To { state, implied } => Ok(self.go(state, implied, told, now)),
            Step::Logged => {
                let before = self.standing();
                let decline = told.decline.cloned();
                self.failure = decline.as_ref().map(Decline::failure);
                self.touch(now);
                let event = self.snapshot(PaymentKind::AttemptFailed, Some(self.state), Vec::new());
                Ok(Change {
                    transitions: Vec::new(),
                    decline,
                    moved: self.moved(before, told),
                    event,
                })
            }
            quiet => Err(quiet),
        }
    }

    fn go(&mut self, to: State, implied: Vec<State>, told: Told<'_>, now: DateTime<Utc>) -> Change {
        let (previous, before) = (self.state, self.standing());
        let mut transitions = Vec::with_capacity(implied.len() + 1);
        let mut from = previous;
        for step in implied.iter().copied() {
            transitions.push(Transition {
                from,
                to: step,
                implied: true,
            });
            from = step;
        }
        transitions.push(Transition {
            from,
            to,
            implied: false,
        });
        if implied.contains(&State::Authorized) {
            // Nobody told how much was held; what was asked for was.
            self.authorized = self.amount.minor;
        }
        if implied.contains(&State::Captured) {
            self.captured = told.minor;
        }
        match to {
            State::Authorized => self.authorized = told.minor,
            State::Captured => self.captured = told.minor,
            // A hold that ended holds nothing.
            State::Failed | State::Expired | State::Cancelled => self.authorized = 0,
            State::Pending | State::Completed | State::Refunded => {}
        }
        match told.decline {
            Some(decline) => self.failure = Some(decline.failure()),
            None if to.rank().is_some() => self.failure = None,
            None => {}
        }
        self.state = to;
        self.touch(now);
        let event = self.snapshot(kind_of(to), Some(previous), implied);
        Change {
            transitions,
            decline: None,
            moved: self.moved(before, told),
            event,
        }
    }

    /// What of it did not go back, in minor units.
    pub const fn left(&self) -> i64 {
        self.captured - self.refunded - self.disputed
    }

    /// The provider has paid the money out, which leaves the payment where it stands.
    pub fn paid_out(&mut self, now: DateTime<Utc>) -> Change {
        let standing = self.standing();
        self.touch(now);
        Change {
            transitions: Vec::new(),
            decline: None,
            moved: self.moved(standing, Told::default()),
            event: self.snapshot(PaymentKind::PaidOut, Some(self.state), Vec::new()),
        }
    }

    /// How far it is.
    pub fn standing(&self) -> Standing {
        Standing {
            state: self.state,
            authorized: self.authorized,
            captured: self.captured,
            refunded: self.refunded,
            lost: self.disputed,
        }
    }

    pub(super) fn moved(&self, before: Standing, told: Told<'_>) -> Moved {
        let object = told.object.or(self.provider_ref.as_deref());
        Moved {
            before,
            after: self.standing(),
            campaign_id: self.campaign_id,
            currency: self.amount.currency,
            charged: self.amount.minor,
            extras: self.extras,
            uncovered: (0, 0),
            object: object.map_or_else(|| self.payment_id.to_string(), str::to_owned),
            fee: told.fee,
        }
    }

    pub(super) fn touch(&mut self, now: DateTime<Utc>) {
        self.version += 1;
        self.updated_at = now;
    }

    /// The payment as it stands, told as the event that brings a payment there; which one did is a matter of its history.
    pub fn as_it_stands(&self) -> PaymentEvent {
        self.snapshot(kind_of(self.state), None, Vec::new())
    }

    pub(super) fn snapshot(
        &self,
        kind: PaymentKind,
        previous: Option<State>,
        implied: Vec<State>,
    ) -> PaymentEvent {
        PaymentEvent {
            kind,
            payment_id: self.payment_id,
            pledge_id: self.pledge_id,
            campaign_id: self.campaign_id,
            donor_id: self.donor_id,
            donor_ref: self.donor_ref.clone(),
            contact_id: self.contact_id,
            attempt: self.attempt,
            state: self.state,
            previous,
            implied,
            amount: self.amount,
            extras: self.extras,
            authorized: self.authorized,
            captured: self.captured,
            refunded: self.refunded,
            disputed: self.disputed,
            provider: PROVIDER.to_owned(),
            provider_ref: self.provider_ref.clone(),
            failure: self.failure.clone(),
            version: self.version,
            occurred_at: self.updated_at,
        }
    }
}

/// What came with an event that the machine's table does not look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'a> {
    /// The amount that was held or taken, in minor units; 0 where the event is about neither.
    pub minor: i64,
    /// What the provider keeps, in minor units, where the event is a settlement.
    pub fee: i64,
    /// The provider's object that the event is about, where it is not the intent: each is booked once for each effect.
    pub object: Option<&'a str>,
    /// Why the try did not work.
    pub decline: Option<&'a Decline>,
}

const fn kind_of(state: State) -> PaymentKind {
    match state {
        State::Pending => PaymentKind::Created,
        State::Authorized => PaymentKind::Authorized,
        State::Captured => PaymentKind::Captured,
        State::Completed => PaymentKind::Completed,
        State::Failed => PaymentKind::Failed,
        State::Expired => PaymentKind::Expired,
        State::Cancelled => PaymentKind::Cancelled,
        State::Refunded => PaymentKind::Refunded,
    }
}
