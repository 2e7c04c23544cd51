//! What the process remembers of campaigns, so that a gift costs no look-up.
//!
//! Only a campaign that takes gifts is remembered. Another replica may be the one that hears of a change: a campaign
//! that opens takes gifts here at once, and one that closes takes none after [`REMEMBERED`].

use std::{sync::Arc, time::Duration};

use chassis::db::Db;
use common::{events::CampaignStatus, ids::CampaignId};
use moka::future::Cache;
use uuid::Uuid;

use crate::{db, domain::Campaign, error::Error};

/// How long a campaign is believed without asking the projection again.
const REMEMBERED: Duration = Duration::from_secs(1);
/// How many campaigns are remembered.
const CAPACITY: u64 = 10_000;

/// The campaigns that take gifts.
#[derive(Clone)]
pub struct Campaigns(Cache<Uuid, Campaign>);

/// What a look-up found that is not to be remembered; several requests share it.
#[derive(Clone)]
enum Passing {
    Unknown,
    Closed(Campaign),
    Unreadable(Arc<sqlx::Error>),
}

impl Campaigns {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .time_to_live(REMEMBERED);
        Self(cache.build())
    }

    /// A campaign, whether or not it takes gifts.
    ///
    /// # Errors
    /// [`Error::CampaignNotFound`], [`Error::CampaignUnreadable`].
    pub async fn find(&self, db: &Db, id: CampaignId) -> Result<Campaign, Error> {
        let found = self.0.try_get_with(id.get(), look_up(db, id.get())).await;
        found.or_else(|passing| match &*passing {
            Passing::Closed(campaign) => Ok(campaign.clone()),
            Passing::Unknown => Err(Error::CampaignNotFound),
            Passing::Unreadable(error) => Err(Error::CampaignUnreadable(error.clone())),
        })
    }

    /// Forgets a campaign that has changed.
    pub async fn forget(&self, id: CampaignId) {
        self.0.invalidate(&id.get()).await;
    }
}

async fn look_up(db: &Db, id: Uuid) -> Result<Campaign, Passing> {
    match db::campaigns::find(db, id).await {
        Ok(Some(campaign)) if campaign.status == CampaignStatus::Active => Ok(campaign),
        Ok(Some(campaign)) => Err(Passing::Closed(campaign)),
        Ok(None) => Err(Passing::Unknown),
        Err(error) => Err(Passing::Unreadable(Arc::new(error))),
    }
}
