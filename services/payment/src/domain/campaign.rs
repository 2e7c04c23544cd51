//! What a payment needs to know of its campaign. Pure.

use chrono::{DateTime, Utc};
use common::{events::CampaignStatus, ids::UserId};

/// A campaign as this service knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Who runs it.
    pub organiser_id: UserId,
    /// Where it stands.
    pub status: CampaignStatus,
    /// When it stops taking gifts, if ever.
    pub ends_at: Option<DateTime<Utc>>,
    /// Grows by one with each step of the campaign.
    pub version: i64,
}

impl Campaign {
    /// Whether it takes gifts now.
    pub fn takes_gifts(&self, now: DateTime<Utc>) -> bool {
        self.status == CampaignStatus::Active && self.ends_at.is_none_or(|end| now < end)
    }
}
