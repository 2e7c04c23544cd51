//! The payment machine: what an event does to a payment, decided without any I/O.
//!
//! PENDING, AUTHORIZED, CAPTURED and COMPLETED are a ladder that a payment climbs and never
//! descends. Providers do not promise an order, so an event from higher up is applied at once and
//! the rungs in between are reported as implied; one from lower down is stale. FAILED, EXPIRED and
//! CANCELLED end a payment before any money moved. REFUNDED is derived: all captured money went back.
//!
//! Whatever arrives, no money is dropped: an event that would contradict the record (money on an
//! ended payment, an end after a capture) is answered by [`Step::Contradiction`], and the caller asks
//! the provider for the truth. If the money was really captured, it applies [`Event::LateCaptured`].
//!
//! Only [`Event::RefundFailed`] steps back, from REFUNDED; the caller derives it and
//! [`Event::FullyRefunded`] from its refund rows under the payment's lock, so their order is known.

use crate::named::named;

named! {
    /// Where a payment stands.
    pub enum State {
        /// Waiting for the donor; declines leave it here.
        Pending = "PENDING",
        /// The provider holds the money for us.
        Authorized = "AUTHORIZED",
        /// The provider took the money.
        Captured = "CAPTURED",
        /// The money is settled and available.
        Completed = "COMPLETED",
        /// The provider can never charge it.
        Failed = "FAILED",
        /// Nobody paid in time, or the hold ran out.
        Expired = "EXPIRED",
        /// Called off before any money was taken.
        Cancelled = "CANCELLED",
        /// All captured money went back.
        Refunded = "REFUNDED",
    }
}

impl State {
    /// Whether the provider may still charge it; a pledge has at most one live payment.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Authorized)
    }

    /// The rung on the ladder, from 0; none for the states off it.
    pub const fn rank(self) -> Option<u8> {
        match self {
            Self::Pending => Some(0),
            Self::Authorized => Some(1),
            Self::Captured => Some(2),
            Self::Completed => Some(3),
            Self::Failed | Self::Expired | Self::Cancelled | Self::Refunded => None,
        }
    }
}

/// Something verified that happened to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The money is held.
    Authorized,
    /// The money is taken.
    Captured,
    /// The money is available.
    Settled,
    /// One try was refused; the same intent can still be paid.
    Declined,
    /// The provider will never charge it.
    Failed,
    /// Time ran out before any money was taken.
    Expired,
    /// Called off before any money was taken.
    Cancelled,
    /// Refunds that succeeded add up to all captured money.
    FullyRefunded,
    /// A refund that had succeeded failed later, so the money is ours again.
    RefundFailed {
        /// Whether the capture had been settled.
        settled: bool,
    },
    /// The provider confirmed, when asked, that it took money on an ended payment.
    LateCaptured,
}

impl Event {
    /// The name under which a transition records its cause.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Settled => "settled",
            Self::Declined => "declined",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::FullyRefunded => "fully_refunded",
            Self::RefundFailed { .. } => "refund_failed",
            Self::LateCaptured => "late_captured",
        }
    }
}

/// What to do about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Move: write one transition for each implied state, then one for the last.
    To {
        /// Where the payment stands now.
        state: State,
        /// The rungs skipped, lowest first; neither the state left nor the one reached.
        implied: Vec<State>,
    },
    /// Record a decline; the payment stays where it is.
    Logged,
    /// Already so; nothing to do.
    Duplicate,
    /// News from before; audit only.
    Stale,
    /// Cannot both be true: ask the provider, change nothing yet.
    Contradiction,
}

/// Decides what `event` does to a payment in `state`; it has an answer for every pair.
pub fn apply(state: State, event: Event) -> Step {
    use State::{Authorized, Cancelled, Captured, Completed, Expired, Failed, Pending, Refunded};
    match event {
        Event::Authorized => match state {
            Pending => to(Authorized, &[]),
            Authorized => Step::Duplicate,
            Captured | Completed | Refunded | Failed | Expired | Cancelled => Step::Stale,
        },
        Event::Captured => match state {
            Pending => to(Captured, &[Authorized]),
            Authorized => to(Captured, &[]),
            Captured => Step::Duplicate,
            Completed | Refunded => Step::Stale,
            Failed | Expired | Cancelled => Step::Contradiction,
        },
        Event::Settled => match state {
            Pending => to(Completed, &[Authorized, Captured]),
            Authorized => to(Completed, &[Captured]),
            Captured => to(Completed, &[]),
            Completed => Step::Duplicate,
            Refunded => Step::Stale,
            Failed | Expired | Cancelled => Step::Contradiction,
        },
        Event::FullyRefunded => match state {
            Pending => to(Refunded, &[Authorized, Captured]),
            Authorized => to(Refunded, &[Captured]),
            Captured | Completed => to(Refunded, &[]),
            Refunded => Step::Duplicate,
            Failed | Expired | Cancelled => Step::Contradiction,
        },
        // Elsewhere than in REFUNDED, a failed refund proves what the capture behind it proves.
        Event::RefundFailed { settled } => match (state, settled) {
            (Refunded, false) => to(Captured, &[]),
            (Refunded, true) => to(Completed, &[]),
            (_, false) => apply(state, Event::Captured),
            (_, true) => apply(state, Event::Settled),
        },
        Event::LateCaptured => match state {
            Failed | Expired | Cancelled => to(Captured, &[]),
            Pending | Authorized | Captured | Completed | Refunded => apply(state, Event::Captured),
        },
        // Only a payment that still waits has a use for it: later it is a try before the one that worked.
        Event::Declined => match state {
            Pending => Step::Logged,
            Authorized | Captured | Completed | Refunded | Failed | Expired | Cancelled => {
                Step::Stale
            }
        },
        Event::Failed => end(state, Failed),
        Event::Expired => end(state, Expired),
        Event::Cancelled => end(state, Cancelled),
    }
}

/// Ends a live payment. The first end counts; no end undoes a capture.
fn end(state: State, end: State) -> Step {
    match state {
        State::Pending | State::Authorized => to(end, &[]),
        State::Captured | State::Completed | State::Refunded => Step::Contradiction,
        _ if state == end => Step::Duplicate,
        State::Failed | State::Expired | State::Cancelled => Step::Stale,
    }
}

fn to(state: State, implied: &[State]) -> Step {
    Step::To {
        state,
        implied: implied.to_vec(),
    }
}
