//! What is owed to whom, and when to try again.
//!
//! Pure: no I/O.

use chrono::Duration;
use common::ids::CampaignId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest pause between two attempts, in seconds.
const LONGEST_PAUSE: i64 = 3600;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeliveryStatus {
    /// Waits for the donor's contact.
    Held,
    /// Is sent as soon as its next attempt is due.
    Queued,
    /// The mail server took it.
    Sent,
    /// The mail server will never take it.
    Failed,
    /// The money went back before it was sent.
    Withdrawn,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Held,
        Self::Queued,
        Self::Sent,
        Self::Failed,
        Self::Withdrawn,
    ];

    /// The spelling in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "HELD",
            Self::Queued => "QUEUED",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }
}

/// What a socket can watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The totals of one campaign.
    Campaign(CampaignId),
}

impl Channel {
    /// Reads `campaign:{id}`.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.strip_prefix("campaign:")?;
        // Of the spellings that a UUID has, only the usual one.
        (id.len() == 36)
            .then(|| id.parse().ok())
            .flatten()
            .map(Self::Campaign)
    }
}

/// How long to wait after the given number of failed attempts (from 1): 1 s, 2 s, 4 s and so on to 1 h.
pub fn backoff(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1))
        .unwrap_or(0)
        .min(12);
    Duration::seconds((1_i64 << doublings).min(LONGEST_PAUSE))
}
