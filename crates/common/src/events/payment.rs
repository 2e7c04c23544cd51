//! What the payment service tells about payments.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Event, topics};
use crate::ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId};
use crate::money::{Extras, Money};
use crate::named::named;
use crate::payment::State;

named! {
    /// What happened to a payment.
    pub enum PaymentKind {
        /// It was set up.
        Created = "payment.created",
        /// The money is held.
        Authorized = "payment.authorized",
        /// The money is taken.
        Captured = "payment.captured",
        /// The money is available.
        Completed = "payment.completed",
        /// The money is on its way to the platform's bank account; the payment stands where it stood.
        PaidOut = "payment.paid_out",
        /// The provider can never charge it.
        Failed = "payment.failed",
        /// Time ran out.
        Expired = "payment.expired",
        /// It was called off.
        Cancelled = "payment.cancelled",
        /// All captured money went back.
        Refunded = "payment.refunded",
        /// A part of the captured money went back.
        PartlyRefunded = "payment.partly_refunded",
        /// Money that went back came back, because it could not be paid out.
        RefundFailed = "payment.refund_failed",
        /// The donor's bank took money back for good.
        DisputeLost = "payment.dispute_lost",
        /// The donor's bank returned money that it had taken back.
        DisputeReversed = "payment.dispute_reversed",
        /// Money was taken on an ended payment.
        LateCaptured = "payment.late_captured",
        /// One try was declined; it can still be paid.
        AttemptFailed = "payment.attempt_failed",
        /// Nothing: it is told anew, because the database was put back to a copy that is older than what was told.
        Restated = "payment.restated",
    }
}

/// Why the last try did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The provider's stable code, such as `card_declined`.
    pub code: String,
    /// Its text for the donor.
    pub message: Option<String>,
}

/// A payment as it stands, and the move that brought it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentEvent {
    /// What happened last.
    pub kind: PaymentKind,
    /// Which payment.
    pub payment_id: PaymentId,
    /// Of which pledge.
    pub pledge_id: PledgeId,
    /// For which campaign.
    pub campaign_id: CampaignId,
    /// The donor's account, when logged in.
    pub donor_id: Option<UserId>,
    /// HMAC of the donor's normalised address, in hex.
    pub donor_ref: String,
    /// Where to write to the donor.
    pub contact_id: ContactId,
    /// Which try of the pledge, from 1.
    pub attempt: i32,
    /// Where it stands.
    pub state: State,
    /// Where it stood before this move, absent at creation.
    pub previous: Option<State>,
    /// The states passed on the way, lowest first.
    pub implied: Vec<State>,
    /// The whole charge, the gift and what was added to it; the amounts below are in its currency.
    pub amount: Money,
    /// How much of the whole charge is not the gift.
    #[serde(default, skip_serializing_if = "Extras::is_none")]
    pub extras: Extras,
    /// Held or taken so far, in minor units.
    pub authorized: i64,
    /// Taken so far, in minor units.
    pub captured: i64,
    /// Given back so far, in minor units.
    pub refunded: i64,
    /// Lost in disputes so far out of what was left after refunds, in minor units.
    pub disputed: i64,
    /// Who takes the money, such as `stripe`.
    pub provider: String,
    /// The provider's id of it, once there is one.
    pub provider_ref: Option<String>,
    /// Why the last try did not work, if so.
    pub failure: Option<Failure>,
    /// Version of this snapshot.
    pub version: i64,
    /// When it came to stand so.
    pub occurred_at: DateTime<Utc>,
}

impl PaymentEvent {
    /// How much of an amount so far (held, taken, given back, lost) is the campaign's, in minor units.
    pub fn gift(&self, amount: i64) -> i64 {
        self.extras.split(self.amount.minor, amount).gift
    }
}

impl Event for PaymentEvent {
    const TOPIC: &'static str = topics::PAYMENT.name;

    fn key(&self) -> String {
        self.pledge_id.to_string()
    }

    fn kind(&self) -> &str {
        self.kind.as_str()
    }

    fn version(&self) -> i64 {
        self.version
    }
}
