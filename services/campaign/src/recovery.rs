//! After the database was put back to an older copy: a campaign that was called off stays called off.

use std::collections::HashMap;

use chassis::{
    db::Db,
    kafka::{Fault, Kafka, Message},
};
use chrono::{DateTime, Utc};
use common::{
    events::{CampaignState, topics},
    ids::CampaignId,
};

use crate::db;

/// The newest state of each campaign that was told.
type Told = HashMap<CampaignId, CampaignState>;

fn hear(told: &mut Told, message: &Message) -> Result<(), Fault> {
    let campaign: CampaignState = message.json()?;
    let known = told.get(&campaign.campaign_id);
    if known.is_none_or(|known| known.version < campaign.version) {
        told.insert(campaign.campaign_id, campaign);
    }
    Ok(())
}

/// Writes again what was told since a moment and is not known here. Done twice, it changes nothing more.
///
/// # Errors
/// When the broker or the database is away.
pub async fn put_back(db: &Db, kafka: &Kafka, since: DateTime<Utc>) -> anyhow::Result<()> {
    let told: Told = kafka.recall(topics::CAMPAIGN.into(), since, hear).await?;
    let told: Vec<CampaignState> = told.into_values().collect();
    let written = db::put_back(db.pool(), &told).await?;
    tracing::info!(
        told = told.len(),
        written,
        "campaigns were written again as they were told"
    );
    Ok(())
}
