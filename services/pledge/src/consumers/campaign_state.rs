//! Campaign snapshots become the projection that gifts are checked against.

use std::collections::HashMap;

use chassis::{
    db::Db,
    kafka::{Fault, Handler, Message},
};
use common::events::CampaignState;
use uuid::Uuid;

use crate::{campaigns::Campaigns as Known, db};

/// Keeps the projection of campaigns.
pub struct Campaigns {
    /// The database.
    pub db: Db,
    /// What the handlers remember, to be forgotten once it is old.
    pub known: Known,
}

impl Handler for Campaigns {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        let mut newest: HashMap<Uuid, CampaignState> = HashMap::new();
        for message in batch.iter().filter(|message| !message.payload.is_empty()) {
            let state: CampaignState = message.json()?;
            let known = newest
                .get(&state.campaign_id.get())
                .map_or(0, |known| known.version);
            if state.version > known {
                newest.insert(state.campaign_id.get(), state);
            }
        }
        let states: Vec<CampaignState> = newest.into_values().collect();
        db::campaigns::project(&self.db, &states).await?;
        for state in &states {
            self.known.forget(state.campaign_id).await;
        }
        Ok(())
    }
}
