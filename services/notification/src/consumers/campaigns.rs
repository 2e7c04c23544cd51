//! `cfa.campaign.state.v1`: what a campaign is called.

use std::collections::BTreeMap;

use chassis::kafka::{Fault, Message};
use common::{events::CampaignState, ids::CampaignId};

use crate::{App, db::campaigns};

/// Keeps the newest title of each campaign.
pub async fn apply(app: &App, messages: impl Iterator<Item = &Message>) -> Result<(), Fault> {
    let mut newest: BTreeMap<CampaignId, CampaignState> = BTreeMap::new();
    for message in messages {
        let campaign: CampaignState = message.json()?;
        if newest
            .get(&campaign.campaign_id)
            .is_none_or(|known| known.version < campaign.version)
        {
            newest.insert(campaign.campaign_id, campaign);
        }
    }
    let changed: Vec<_> = newest.into_values().collect();
    campaigns::upsert(app.db.pool(), &changed).await?;
    Ok(())
}
