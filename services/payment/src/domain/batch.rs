//! The rule that a campaign which was called off gives its gifts back. Pure.

use chrono::{DateTime, Utc};
use common::{
    events::CampaignStatus,
    ids::{CampaignId, UserId},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Campaign, Halt};

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = RefundBatchState)]
pub enum BatchState {
    /// It is there, and nobody has looked at it yet.
    Planned,
    /// It is about more than runs by itself: an admin must approve.
    AwaitingApproval,
    /// Gifts go back.
    Running,
    /// An admin stopped it.
    Paused,
    /// Every gift is on its way back; one that is captured later goes back, too.
    Done,
}

impl BatchState {
    const ALL: [Self; 5] = [
        Self::Planned,
        Self::AwaitingApproval,
        Self::Running,
        Self::Paused,
        Self::Done,
    ];

    /// The spelling in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "PLANNED",
            Self::AwaitingApproval => "AWAITING_APPROVAL",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Done => "DONE",
        }
    }

    /// Reads the spelling in SQL.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Why there is a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = RefundBatchCause)]
pub enum BatchCause {
    /// The campaign was called off: the rule itself.
    Cancelled,
    /// An admin ordered it for a suspended campaign.
    Ordered,
}

impl BatchCause {
    /// The spelling in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Ordered => "ORDERED",
        }
    }

    /// Reads the spelling in SQL.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Cancelled, Self::Ordered]
            .into_iter()
            .find(|cause| cause.as_str() == text)
    }
}

/// The refunds of one campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Whose.
    pub campaign_id: CampaignId,
    /// Why there is one.
    pub cause: BatchCause,
    /// The version at which the campaign stood suspended when an admin ordered it.
    pub campaign_version: Option<i64>,
    /// How far it is.
    pub state: BatchState,
    /// How many gifts were to go back when it was planned.
    pub planned_count: Option<i64>,
    /// How much that was, in minor units.
    pub planned_minor: Option<i64>,
    /// Who called the campaign off or ordered the batch, where that is known.
    pub started_by: Option<UserId>,
    /// The admin who approved it.
    pub approved_by: Option<UserId>,
    /// When it came about.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
}

/// What an admin does to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Lets one run that is about much money.
    Approve,
    /// Stops it.
    Pause,
    /// Lets it go on.
    Resume,
}

impl Batch {
    /// The worker has counted what is to go back: whether it runs by itself is decided by how much that is.
    pub fn plan(&mut self, count: i64, minor: i64, approval_from: i64) {
        (self.planned_count, self.planned_minor) = (Some(count), Some(minor));
        self.state = if minor > approval_from {
            BatchState::AwaitingApproval
        } else {
            BatchState::Running
        };
    }

    /// Makes a turn.
    ///
    /// # Errors
    /// [`Halt::BatchState`] where it does not stand so, [`Halt::SecondAdmin`] for an approval by whoever started it.
    pub fn turn(&mut self, turn: Turn, by: UserId, now: DateTime<Utc>) -> Result<(), Halt> {
        self.state = match (turn, self.state) {
            (Turn::Approve, BatchState::AwaitingApproval) if self.started_by == Some(by) => {
                return Err(Halt::SecondAdmin);
            }
            (Turn::Approve, BatchState::AwaitingApproval) => {
                self.approved_by = Some(by);
                BatchState::Running
            }
            (Turn::Pause, state) if state != BatchState::Paused => BatchState::Paused,
            // It is counted anew: what was approved is not what there is now.
            (Turn::Resume, BatchState::Paused) => {
                self.approved_by = None;
                BatchState::Planned
            }
            _ => return Err(Halt::BatchState),
        };
        self.updated_at = now;
        Ok(())
    }

    /// Whether the campaign stands so that its gifts go back: one that was suspended may have been let go on since, and
    /// what it took after that was never ordered back.
    pub fn applies(&self, campaign: &Campaign) -> bool {
        match self.cause {
            BatchCause::Cancelled => campaign.status == CampaignStatus::Cancelled,
            BatchCause::Ordered => {
                campaign.status == CampaignStatus::Suspended
                    && self.campaign_version == Some(campaign.version)
            }
        }
    }

    /// Whether what can still be charged is called off. No approval is needed for that, and an admin who stops the
    /// refunds of a cancelled campaign does not let it take gifts.
    pub fn calls_off(&self) -> bool {
        self.cause == BatchCause::Cancelled || self.state != BatchState::Paused
    }
}
