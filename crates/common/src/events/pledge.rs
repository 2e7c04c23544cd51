//! What the pledge service tells about pledges.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Capture, Event, topics};
use crate::ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId};
use crate::money::{Extras, Money, MoneyError};
use crate::named::named;

named! {
    /// What the public sees of a gift; its amount counts in any case.
    pub enum Visibility {
        /// Name, amount and message.
        Public = "PUBLIC",
        /// Amount and message, no name.
        Anonymous = "ANONYMOUS",
        /// Name and message, no amount.
        HiddenAmount = "HIDDEN_AMOUNT",
    }
}

named! {
    /// Where a pledge stands, which follows its payments.
    pub enum PledgeStatus {
        /// Not paid yet.
        Pending = "PENDING",
        /// The money is held.
        Authorized = "AUTHORIZED",
        /// The money is taken.
        Completed = "COMPLETED",
        /// It cannot be paid any more.
        Failed = "FAILED",
        /// Nobody paid in time.
        Expired = "EXPIRED",
        /// Called off.
        Cancelled = "CANCELLED",
        /// The money went back.
        Refunded = "REFUNDED",
    }
}

named! {
    /// What happened to a pledge.
    pub enum PledgeKind {
        /// A donor made it.
        Created = "pledge.created",
        /// Its status followed a payment.
        Updated = "pledge.updated",
        /// The donor wants it called off; its payment decides whether it still can be.
        CancelRequested = "pledge.cancel_requested",
    }
}

/// A pledge as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PledgeEvent {
    /// What happened last.
    pub kind: PledgeKind,
    /// Which pledge.
    pub pledge_id: PledgeId,
    /// For which campaign.
    pub campaign_id: CampaignId,
    /// Its current payment.
    pub payment_id: PaymentId,
    /// The donor's account, when logged in.
    pub donor_id: Option<UserId>,
    /// HMAC of the donor's normalised address, in hex: tells donors apart without naming them.
    pub donor_ref: String,
    /// Where to write to the donor.
    pub contact_id: ContactId,
    /// The gift.
    pub amount: Money,
    /// What is charged on top of it.
    #[serde(default, skip_serializing_if = "Extras::is_none")]
    pub extras: Extras,
    /// When its money is taken, as the campaign had it when the pledge was made.
    pub capture: Capture,
    /// What the public sees.
    pub visibility: Visibility,
    /// The name to show, absent for an anonymous gift.
    pub public_name: Option<String>,
    /// What the donor wishes to say in public.
    pub message: Option<String>,
    /// Where it stands.
    pub status: PledgeStatus,
    /// When the donor asked to call it off, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// The request that made it, as hashes, so that its key is known again should the database forget it; told once, at
    /// the creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// When it lapses unless paid.
    pub expires_at: DateTime<Utc>,
    /// When the donor made it.
    pub created_at: DateTime<Utc>,
    /// Version of this snapshot.
    pub version: i64,
    /// When it came to stand so.
    pub occurred_at: DateTime<Utc>,
}

impl PledgeEvent {
    /// What is to be charged in all; out of range where it leaves 64 bits.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn charge(&self) -> Result<Money, MoneyError> {
        self.amount
            .checked_add(Money::new(self.extras.sum(), self.amount.currency))
    }
}

impl Event for PledgeEvent {
    const TOPIC: &'static str = topics::PLEDGE.name;

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
