//! The live feed: the latest totals of each campaign, and who watches them.
//!
//! Each campaign has one cell that holds its latest message. A watcher who reads slowly finds the newest one there
//! when it comes back and misses those in between, so no queue grows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use common::{events::TotalsUpdated, ids::CampaignId};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::config::FeedLimits;

/// How many campaigns are remembered before those that nobody watches are forgotten.
const REMEMBERED: usize = 10_000;

/// The latest message of one campaign.
pub type Updates = watch::Receiver<Option<Update>>;

/// The feed of this process; clones are the same feed.
#[derive(Clone)]
pub struct Feed {
    campaigns: Arc<Mutex<HashMap<CampaignId, watch::Sender<Option<Update>>>>>,
    seats: Arc<Semaphore>,
    ping: Duration,
}

/// A message, ready to be sent.
#[derive(Clone)]
pub struct Update {
    version: i64,
    /// Its JSON.
    pub text: Utf8Bytes,
}

#[derive(Serialize)]
struct Pushed<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    totals: &'a TotalsUpdated,
}

impl Feed {
    /// A feed without messages yet.
    pub fn new(limits: FeedLimits) -> Self {
        Self {
            campaigns: Arc::default(),
            seats: Arc::new(Semaphore::new(limits.sockets)),
            ping: limits.ping,
        }
    }

    /// Takes a seat for one socket; nothing when all are taken. The seat is free again when it is dropped.
    pub fn seat(&self) -> Option<OwnedSemaphorePermit> {
        self.seats.clone().try_acquire_owned().ok()
    }

    /// Between two pings.
    pub fn ping(&self) -> Duration {
        self.ping
    }

    /// Watches a campaign, from its latest message on.
    pub fn watch(&self, campaign: CampaignId) -> Updates {
        let mut campaigns = self
            .campaigns
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Self::make_room(&mut campaigns);
        campaigns.entry(campaign).or_default().subscribe()
    }

    /// Shows new totals to a campaign's watchers, unless they have seen newer ones.
    ///
    /// # Errors
    /// The totals do not serialise, which plain data always does.
    pub fn show(&self, totals: &TotalsUpdated) -> Result<(), serde_json::Error> {
        let text = serde_json::to_string(&Pushed {
            kind: "totals",
            totals,
        })?;
        let update = Update {
            version: totals.version,
            text: text.into(),
        };
        let mut campaigns = self
            .campaigns
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Self::make_room(&mut campaigns);
        campaigns
            .entry(totals.campaign_id)
            .or_default()
            .send_if_modified(|latest| {
                let newer = latest
                    .as_ref()
                    .is_none_or(|latest| latest.version < update.version);
                if newer {
                    *latest = Some(update);
                }
                newer
            });
        Ok(())
    }

    fn make_room(campaigns: &mut HashMap<CampaignId, watch::Sender<Option<Update>>>) {
        if campaigns.len() >= REMEMBERED {
            campaigns.retain(|_, watched| watched.receiver_count() > 0);
        }
    }
}
