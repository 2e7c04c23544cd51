//! After the database was put back to an older copy: versions that were told already would be told a second time, of other
//! amounts, and whoever keeps the newest would not listen.

use std::collections::HashMap;

use chassis::{
    db::Db,
    kafka::{Fault, Kafka, Message},
};
use chrono::{DateTime, Utc};
use common::{
    events::{TotalsUpdated, topics},
    ids::CampaignId,
};

use crate::db::totals;

/// The newest total of each campaign that was told.
type Told = HashMap<CampaignId, TotalsUpdated>;

fn hear(told: &mut Told, message: &Message) -> Result<(), Fault> {
    let total: TotalsUpdated = message.json()?;
    let known = told.get(&total.campaign_id);
    if known.is_none_or(|known| known.version < total.version) {
        told.insert(total.campaign_id, total);
    }
    Ok(())
}

/// Lets the versions of totals go on above those that were told since a moment; the totals are announced anew.
///
/// # Errors
/// When the broker or the database is away.
pub async fn outrun(
    db: &Db,
    kafka: &Kafka,
    now: DateTime<Utc>,
    since: DateTime<Utc>,
) -> anyhow::Result<()> {
    let told: Told = kafka.recall(topics::TOTALS.into(), since, hear).await?;
    let told: Vec<TotalsUpdated> = told.into_values().collect();
    let raised = totals::outrun(db.pool(), &told, now).await?;
    tracing::info!(
        told = told.len(),
        raised,
        "totals go on above the versions that were told"
    );
    Ok(())
}
