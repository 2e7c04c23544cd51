//! What the campaign service tells.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Event, topics};
use crate::ids::{CampaignId, UserId};
use crate::money::Money;
use crate::named::named;

named! {
    /// Where a campaign stands; only ACTIVE ones take gifts.
    pub enum CampaignStatus {
        /// Being written by its organiser.
        Draft = "DRAFT",
        /// Waiting for an admin.
        Submitted = "SUBMITTED",
        /// Takes gifts.
        Active = "ACTIVE",
        /// Takes no gifts for now.
        Paused = "PAUSED",
        /// Ended as planned.
        Completed = "COMPLETED",
        /// Called off; its gifts are refunded.
        Cancelled = "CANCELLED",
        /// Turned down by an admin.
        Rejected = "REJECTED",
        /// Stopped by an admin.
        Suspended = "SUSPENDED",
    }
}

named! {
    /// When the money of a gift is taken.
    pub enum Capture {
        /// As soon as the donor confirms.
        Automatic = "automatic",
        /// Held first, taken later.
        Manual = "manual",
    }
}

named! {
    /// What happened to a campaign.
    pub enum CampaignKind {
        /// A draft was begun.
        Created = "campaign.created",
        /// It was handed in for approval.
        Submitted = "campaign.submitted",
        /// An admin let it go public.
        Approved = "campaign.approved",
        /// An admin turned it down.
        Rejected = "campaign.rejected",
        /// It ended.
        Closed = "campaign.closed",
        /// It was called off.
        Cancelled = "campaign.cancelled",
        /// An admin stopped it.
        Suspended = "campaign.suspended",
        /// An admin let it go on.
        Resumed = "campaign.resumed",
    }
}

/// A campaign as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignState {
    /// What happened last.
    pub kind: CampaignKind,
    /// Which campaign.
    pub campaign_id: CampaignId,
    /// Who runs it.
    pub organiser_id: UserId,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: CampaignStatus,
    /// What it hopes to raise; its currency is that of every gift.
    pub goal: Money,
    /// The smallest gift, in minor units of the goal's currency.
    pub minimum: i64,
    /// When it stops taking gifts, if ever.
    pub ends_at: Option<DateTime<Utc>>,
    /// When the money of its gifts is taken.
    pub capture: Capture,
    /// The account that moved it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_by: Option<UserId>,
    /// Version of this snapshot.
    pub version: i64,
    /// When it came to stand so.
    pub occurred_at: DateTime<Utc>,
}

impl Event for CampaignState {
    const TOPIC: &'static str = topics::CAMPAIGN.name;

    fn key(&self) -> String {
        self.campaign_id.to_string()
    }

    fn kind(&self) -> &str {
        self.kind.as_str()
    }

    fn version(&self) -> i64 {
        self.version
    }
}
