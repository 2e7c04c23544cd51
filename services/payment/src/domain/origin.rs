//! What a payment begins with. Pure.

use chrono::{DateTime, Utc};
use common::{
    events::{Capture, PledgeEvent},
    ids::{CampaignId, ContactId, PledgeId, UserId},
    money::{Extras, Money, MoneyError},
};

/// What a payment is made of: the facts of its pledge, from its event or from the donor's ticket.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The pledge to pay for.
    pub pledge_id: PledgeId,
    /// For which campaign.
    pub campaign_id: CampaignId,
    /// The donor's account, unless a guest gives.
    pub donor_id: Option<UserId>,
    /// Who gives, as a pseudonym.
    pub donor_ref: String,
    /// Whom to thank.
    pub contact_id: ContactId,
    /// The whole charge.
    pub amount: Money,
    /// How much of it is not the gift.
    pub extras: Extras,
    /// When the money is taken.
    pub capture: Capture,
    /// When the pledge lapses.
    pub expires_at: DateTime<Utc>,
    /// The trace to go on with.
    pub traceparent: Option<String>,
}

impl Origin {
    /// The facts as the pledge tells them.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn of(pledge: PledgeEvent, traceparent: Option<String>) -> Result<Self, MoneyError> {
        Ok(Self {
            amount: pledge.charge()?,
            pledge_id: pledge.pledge_id,
            campaign_id: pledge.campaign_id,
            donor_id: pledge.donor_id,
            donor_ref: pledge.donor_ref,
            contact_id: pledge.contact_id,
            extras: pledge.extras,
            capture: pledge.capture,
            expires_at: pledge.expires_at,
            traceparent,
        })
    }
}
