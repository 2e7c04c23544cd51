//! Campaign snapshots become the projection that organisers, late captures and standing refunds are judged by.

use std::collections::HashMap;

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Message},
};
use common::{
    events::{CampaignState, CampaignStatus},
    ids::CampaignId,
};

use crate::db::{batches, campaigns};

/// Keeps the projection of campaigns.
pub struct Campaigns {
    /// The database.
    pub db: Db,
    /// The time of day.
    pub clock: Clock,
}

impl Campaigns {
    /// Projects the newest snapshot of each campaign.
    pub async fn hear(&self, batch: impl Iterator<Item = &Message>) -> Result<(), Fault> {
        let mut newest: HashMap<CampaignId, CampaignState> = HashMap::new();
        for message in batch.filter(|message| !message.payload.is_empty()) {
            let state: CampaignState = message.json()?;
            let known = newest.get(&state.campaign_id);
            if known.is_none_or(|known| known.version < state.version) {
                newest.insert(state.campaign_id, state);
            }
        }
        let states: Vec<CampaignState> = newest.into_values().collect();
        if states.is_empty() {
            return Ok(());
        }
        campaigns::project(self.db.pool(), &states).await?;
        // What a campaign took that was called off goes back. Where this fails the messages come again.
        let off = states
            .iter()
            .filter(|state| state.status == CampaignStatus::Cancelled);
        let off: Vec<_> = off
            .map(|state| (state.campaign_id, state.moved_by))
            .collect();
        Ok(batches::plan(self.db.pool(), &off, self.clock.now()).await?)
    }
}
