//! The campaigns that the made-up gifts went to, wherever a service knows of them, and what they have raised.

use std::collections::HashMap;

use anyhow::Result;
use common::events::{
    CampaignKind, CampaignState, CampaignStatus, Capture, TotalsKind, TotalsUpdated,
};
use common::money::{Currency, Money};
use sqlx::PgConnection;

use super::Plan;
use super::copy::{Row, fill};

/// Made, handed in, and approved.
const VERSION: i64 = 3;
/// What each campaign hopes for, in minor units.
const GOAL: i64 = 100_000_000;

/// A campaign, and what became of it.
#[derive(Clone)]
pub(super) struct Campaign {
    pub(super) state: CampaignState,
    captured: i64,
    gifts: i64,
    /// How many gifts each donor made to it, by the donor's pseudonym.
    donors: HashMap<String, i64>,
    last: chrono::DateTime<chrono::Utc>,
}

impl Campaign {
    /// Every campaign of a plan, with its gifts added up.
    pub(super) fn all(plan: &Plan) -> Vec<Self> {
        let mut campaigns: Vec<Self> = (0..plan.campaigns).map(|n| Self::new(plan, n)).collect();
        for gift in plan.gifts() {
            let number = usize::try_from(gift.campaign_number).unwrap_or_default();
            let campaign = &mut campaigns[number];
            campaign.captured += gift.amount;
            campaign.gifts += 1;
            campaign.last = gift.captured;
            *campaign.donors.entry(gift.donor_ref()).or_default() += 1;
        }
        campaigns
    }

    fn new(plan: &Plan, number: u64) -> Self {
        let at = plan.since();
        let state = CampaignState {
            kind: CampaignKind::Approved,
            campaign_id: plan.campaign(number),
            organiser_id: plan.organiser.into(),
            title: format!("Appeal {number}"),
            status: CampaignStatus::Active,
            goal: Money::new(GOAL, Currency::USD),
            minimum: 100,
            ends_at: None,
            capture: Capture::Automatic,
            moved_by: None,
            version: VERSION,
            occurred_at: at,
        };
        Self {
            state,
            captured: 0,
            gifts: 0,
            donors: HashMap::new(),
            last: at,
        }
    }

    /// The version of its totals: the campaign itself, each pledge, and each capture.
    fn version(&self) -> i64 {
        1 + 2 * self.gifts
    }

    /// What is told of its totals.
    pub(super) fn totals(&self) -> TotalsUpdated {
        let usd = |minor| Money::new(minor, Currency::USD);
        TotalsUpdated {
            kind: TotalsKind::Updated,
            campaign_id: self.state.campaign_id,
            raised: usd(self.captured),
            pledged: usd(0),
            authorized: usd(0),
            captured: usd(self.captured),
            refunded: usd(0),
            disputed: Some(usd(0)),
            donors: i64::try_from(self.donors.len()).unwrap_or(i64::MAX),
            goal: Some(self.state.goal),
            as_of: self.last,
            version: self.version(),
        }
    }
}

/// Writes the campaigns into every table that knows them.
pub(super) async fn write(connection: &mut PgConnection, campaigns: &[Campaign]) -> Result<u64> {
    let mut rows = 0;
    for (table, row) in [
        ("campaign.campaigns", own as fn(&mut Row, &Campaign)),
        ("pledge.campaigns", known),
        ("payment.campaigns", known),
        ("notification.campaigns", known),
        ("totals.campaigns", known),
        ("totals.campaign_totals", totals),
    ] {
        let write = |to: &mut Row, campaign: &&Campaign| row(to, campaign);
        rows += fill(connection, table, campaigns.iter(), write).await?;
    }
    let donors = campaigns.iter().flat_map(|campaign| {
        let of = move |(donor, gifts)| (campaign, donor, gifts);
        campaign.donors.iter().map(of)
    });
    rows += fill(connection, "totals.campaign_donors", donors, donor).await?;
    Ok(rows)
}

fn own(row: &mut Row, campaign: &Campaign) {
    known(row, campaign);
    row.set("story", "Made up, like every gift to it.");
    row.set("category", "load");
    row.set("timezone", "UTC");
    row.set_at("created_at", campaign.state.occurred_at);
}

/// What services remember of a campaign, by whatever name.
fn known(row: &mut Row, campaign: &Campaign) {
    let state = &campaign.state;
    row.set("campaign_id", state.campaign_id);
    row.set("organiser_id", state.organiser_id);
    row.set("title", &state.title);
    row.set("status", state.status.as_str());
    row.set("currency", state.goal.currency.as_str());
    row.set("goal", state.goal.minor);
    row.set("goal_minor", state.goal.minor);
    row.set("minimum_minor", state.minimum);
    row.set("capture", state.capture.as_str());
    row.set("version", state.version);
    row.set_at("updated_at", state.occurred_at);
}

fn totals(row: &mut Row, campaign: &Campaign) {
    let told = campaign.totals();
    row.set("campaign_id", told.campaign_id);
    row.set("currency", "USD");
    row.set("goal", campaign.state.goal.minor);
    row.set("title", &campaign.state.title);
    row.set("campaign_version", campaign.state.version);
    row.set("captured", told.captured.minor);
    row.set("donors", told.donors);
    row.set("version", told.version);
    row.set_at("as_of", told.as_of);
    row.set("announced_version", told.version);
    row.set_at("announced_at", told.as_of);
}

fn donor(row: &mut Row, (campaign, donor, gifts): &(&Campaign, &String, &i64)) {
    row.set("campaign_id", campaign.state.campaign_id);
    row.set("donor_ref", donor);
    row.set("gifts", gifts);
}
