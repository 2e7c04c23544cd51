//! What this service hears: pledges to be paid, and campaigns. One consumer, for a connection costs memory.

mod campaign_state;
mod pledge_created;

use std::time::Duration;

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Handler, Message},
};
use common::events::topics;

use campaign_state::Campaigns;
use pledge_created::PledgeCreated;

/// Hands each topic's messages to their handler.
pub struct Facts {
    pledges: PledgeCreated,
    campaigns: Campaigns,
}

impl Facts {
    /// Writes through this database, by this clock.
    pub fn new(db: &Db, clock: &Clock) -> Self {
        Self {
            pledges: PledgeCreated::new(db, clock),
            campaigns: Campaigns {
                db: db.clone(),
                clock: clock.clone(),
            },
        }
    }
}

impl Handler for Facts {
    /// A donor brings the pledge along as a ticket, and does not wait for this.
    const GATHER: Duration = Duration::from_millis(50);

    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        let of = |topic: &'static str| batch.iter().filter(move |message| message.topic == topic);
        self.campaigns.hear(of(topics::CAMPAIGN.name)).await?;
        self.pledges.hear(of(topics::PLEDGE.name)).await
    }
}
