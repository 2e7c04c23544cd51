//! What the totals service tells.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Event, topics};
use crate::ids::CampaignId;
use crate::money::Money;
use crate::named::named;

named! {
    /// What happened to a campaign's totals.
    pub enum TotalsKind {
        /// They changed.
        Updated = "totals.updated",
    }
}

/// A campaign's totals as they stand; all amounts are of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsUpdated {
    /// What happened last.
    pub kind: TotalsKind,
    /// Which campaign.
    pub campaign_id: CampaignId,
    /// Captured, less refunds and lost disputes; may be negative while something is wrong.
    pub raised: Money,
    /// Promised and not paid yet.
    pub pledged: Money,
    /// Held and not taken yet.
    pub authorized: Money,
    /// Taken.
    pub captured: Money,
    /// Given back.
    pub refunded: Money,
    /// Lost in disputes; older events do not tell.
    #[serde(default)]
    pub disputed: Option<Money>,
    /// Donors behind the captured gifts, each counted once.
    pub donors: i64,
    /// What the campaign hopes to raise, once known here.
    pub goal: Option<Money>,
    /// When the totals came to stand so.
    pub as_of: DateTime<Utc>,
    /// Version of this snapshot.
    pub version: i64,
}

impl Event for TotalsUpdated {
    const TOPIC: &'static str = topics::TOTALS.name;

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
