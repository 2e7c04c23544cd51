//! The proof of a gift: made once, when the money is taken, and never changed. Pure.

use chrono::{DateTime, Datelike, Utc};
use common::{
    events::PaymentEvent,
    ids::{CampaignId, PaymentId, PledgeId},
    money::{Currency, Parts},
};

/// What a receipt says, but for its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Whose.
    pub pledge_id: PledgeId,
    /// The payment that was taken.
    pub payment_id: PaymentId,
    /// What it was for.
    pub campaign_id: CampaignId,
    /// What was taken, in minor units.
    pub parts: Parts,
    /// The currency of it.
    pub currency: Currency,
    /// When it was taken.
    pub at: DateTime<Utc>,
}

/// A numbered receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What it says.
    pub captured: Captured,
    /// The year that its number belongs to.
    pub year: i32,
    /// Its number within the year.
    pub number: i64,
    /// When it was made.
    pub issued_at: DateTime<Utc>,
}

impl Captured {
    /// What there is to prove after this snapshot; nothing before money is taken.
    pub fn of(event: &PaymentEvent) -> Option<Self> {
        (event.captured > 0).then(|| Self {
            pledge_id: event.pledge_id,
            payment_id: event.payment_id,
            campaign_id: event.campaign_id,
            parts: event.extras.split(event.amount.minor, event.captured),
            currency: event.amount.currency,
            at: event.occurred_at,
        })
    }

    /// The year in which it was taken, in UTC.
    pub fn year(&self) -> i32 {
        self.at.year()
    }
}

impl Receipt {
    /// The number as it is printed.
    pub fn name(&self) -> String {
        format!("CFA-{}-{:08}", self.year, self.number)
    }
}
