//! A campaign and how it moves. Pure.

use chrono::{DateTime, Utc};
use common::{
    auth::{Identity, Role},
    events::{CampaignKind, CampaignState, CampaignStatus, Capture},
    ids::{CampaignId, UserId},
    money::Money,
};

/// A campaign as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Which one.
    pub id: CampaignId,
    /// Who runs it.
    pub organiser_id: UserId,
    /// What it is called.
    pub title: String,
    /// What it is about.
    pub story: String,
    /// What kind of cause it is.
    pub category: String,
    /// What it hopes to raise.
    pub goal: Money,
    /// The smallest gift, in minor units of the goal's currency.
    pub minimum: i64,
    /// When the money of its gifts is taken.
    pub capture: Capture,
    /// When it stops taking gifts, if ever.
    pub ends_at: Option<DateTime<Utc>>,
    /// IANA name of the zone that its days are counted in.
    pub timezone: String,
    /// Where it stands.
    pub status: CampaignStatus,
    /// Why an admin turned it down.
    pub rejection_reason: Option<String>,
    /// Why it was called off or suspended.
    pub stop_reason: Option<String>,
    /// Raised by each change, from 1.
    pub version: i64,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
}

/// A step along the campaign's way: DRAFT to SUBMITTED to ACTIVE to COMPLETED, or from SUBMITTED to REJECTED. What runs
/// can be called off for good, or suspended and resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// The organiser hands the draft in.
    Submit,
    /// An admin lets it go public.
    Approve,
    /// An admin turns it down.
    Reject {
        /// Why, for the organiser.
        reason: String,
    },
    /// It stops taking gifts; what was authorised before is still captured.
    Close,
    /// It is called off for good, and its gifts are refunded.
    Cancel {
        /// Why, for its donors.
        reason: String,
    },
    /// An admin stops it for now.
    Suspend {
        /// Why, for the organiser.
        reason: String,
    },
    /// An admin lets it go on.
    Resume,
}

/// Why a campaign cannot make a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The way does not lead there from where it stands.
    #[error("a campaign that is {0} cannot do this")]
    InvalidTransition(CampaignStatus),
    /// Its end date has passed, so there is no point in going public.
    #[error("the campaign's end date has passed")]
    Ended,
}

impl Move {
    /// Where the move leads from `status`, if anywhere.
    pub const fn from(&self, status: CampaignStatus) -> Option<CampaignStatus> {
        match (status, self) {
            (CampaignStatus::Draft, Self::Submit) => Some(CampaignStatus::Submitted),
            (CampaignStatus::Submitted, Self::Approve)
            | (CampaignStatus::Suspended, Self::Resume) => Some(CampaignStatus::Active),
            (CampaignStatus::Submitted, Self::Reject { .. }) => Some(CampaignStatus::Rejected),
            (CampaignStatus::Active, Self::Close) => Some(CampaignStatus::Completed),
            (
                CampaignStatus::Active | CampaignStatus::Paused | CampaignStatus::Suspended,
                Self::Cancel { .. },
            ) => Some(CampaignStatus::Cancelled),
            (CampaignStatus::Active | CampaignStatus::Paused, Self::Suspend { .. }) => {
                Some(CampaignStatus::Suspended)
            }
            _ => None,
        }
    }

    /// What the move is called once it is made.
    pub const fn kind(&self) -> CampaignKind {
        match self {
            Self::Submit => CampaignKind::Submitted,
            Self::Approve => CampaignKind::Approved,
            Self::Reject { .. } => CampaignKind::Rejected,
            Self::Close => CampaignKind::Closed,
            Self::Cancel { .. } => CampaignKind::Cancelled,
            Self::Suspend { .. } => CampaignKind::Suspended,
            Self::Resume => CampaignKind::Resumed,
        }
    }
}

impl Campaign {
    /// The campaign after `step`, one version on.
    ///
    /// # Errors
    /// When it cannot make this move now.
    pub fn moved(&self, step: &Move, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let status = step
            .from(self.status)
            .ok_or(Refusal::InvalidTransition(self.status))?;
        let over = self.ends_at.is_some_and(|end| end <= now);
        if over && matches!(step, Move::Submit | Move::Approve) {
            return Err(Refusal::Ended);
        }
        let rejection_reason = match step {
            Move::Reject { reason } => Some(reason.clone()),
            _ => self.rejection_reason.clone(),
        };
        let stop_reason = match step {
            Move::Cancel { reason } | Move::Suspend { reason } => Some(reason.clone()),
            Move::Resume => None,
            _ => self.stop_reason.clone(),
        };
        Ok(Self {
            status,
            rejection_reason,
            stop_reason,
            version: self.version + 1,
            updated_at: now,
            ..self.clone()
        })
    }

    /// Whether the caller may know that it exists.
    pub fn is_visible_to(&self, caller: Option<Identity>) -> bool {
        is_public(self.status) || caller.is_some_and(|caller| self.is_run_by(caller))
    }

    /// Whether the caller may move it along: its organiser, or an admin.
    pub fn is_run_by(&self, caller: Identity) -> bool {
        caller.role == Role::Admin || caller.user_id == self.organiser_id
    }

    /// The snapshot for the other services, moved by this account.
    pub fn snapshot(&self, kind: CampaignKind, by: UserId) -> CampaignState {
        CampaignState {
            kind,
            campaign_id: self.id,
            organiser_id: self.organiser_id,
            title: self.title.clone(),
            status: self.status,
            goal: self.goal,
            minimum: self.minimum,
            ends_at: self.ends_at,
            capture: self.capture,
            moved_by: Some(by),
            version: self.version,
            occurred_at: self.updated_at,
        }
    }
}

/// Whether everybody may see campaigns of this status. Those that took gifts once stay visible to their donors.
pub const fn is_public(status: CampaignStatus) -> bool {
    match status {
        CampaignStatus::Active
        | CampaignStatus::Paused
        | CampaignStatus::Completed
        | CampaignStatus::Cancelled => true,
        CampaignStatus::Draft
        | CampaignStatus::Submitted
        | CampaignStatus::Rejected
        | CampaignStatus::Suspended => false,
    }
}
