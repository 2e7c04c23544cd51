//! Totals as bytes that are ready to be sent: 50 ms in this process, 30 s in Redis, and the row behind both.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chassis::{cache::Cache, db::Db};
use chrono::{DateTime, Utc};
use common::{ids::CampaignId, money::Money};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{db, domain::Totals};

/// How long the bytes are reused: what a reader may be behind, beside the way of the event.
const READY: Duration = Duration::from_millis(50);
/// How many campaigns have ready bytes.
const CAMPAIGNS: u64 = 10_000;
/// How long Redis keeps an entry that is not replaced by a newer one.
const TTL: Duration = Duration::from_secs(30);

/// What a campaign has raised.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct View {
    campaign_id: CampaignId,
    /// Captured, less refunds and lost disputes.
    raised: Money,
    /// Promised and not paid yet; not part of what is raised.
    pledged: Money,
    /// Held and not taken yet; not part of what is raised.
    authorized: Money,
    captured: Money,
    refunded: Money,
    /// Lost in disputes.
    disputed: Money,
    /// Donors with captured gifts, each counted once.
    donors: i64,
    #[schema(required)]
    goal: Option<Money>,
    /// Raised in percent of the goal, rounded down; can be above 100.
    #[schema(required)]
    goal_pct: Option<i64>,
    /// When the totals came to stand so.
    as_of: DateTime<Utc>,
    /// How long the newest payment in it took to be counted, in milliseconds; null as long as there is none.
    #[schema(required)]
    lag_ms: Option<i64>,
    /// Grows by one with each change.
    version: i64,
    /// Something is wrong: the amounts stand still until they are built anew.
    frozen: bool,
    source: Source,
}

/// Where a reply was read.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Source {
    Cache,
    Database,
}

/// The replies of one process; clones share them.
#[derive(Clone)]
pub(crate) struct Replies {
    db: Db,
    cache: Cache,
    ready: moka::future::Cache<CampaignId, Option<Bytes>>,
    /// Totals that Redis did not take.
    untold: Arc<Mutex<HashMap<CampaignId, Totals>>>,
}

impl Replies {
    pub(crate) fn new(db: &Db, cache: &Cache) -> Self {
        let ready = moka::future::Cache::builder()
            .max_capacity(CAMPAIGNS)
            .time_to_live(READY)
            .build();
        Self {
            db: db.clone(),
            cache: cache.clone(),
            ready,
            untold: Arc::default(),
        }
    }

    /// The reply for a campaign, if it is known. However many ask at once, one of them looks it up.
    pub(crate) async fn get(
        &self,
        campaign: CampaignId,
    ) -> Result<Option<Bytes>, Arc<sqlx::Error>> {
        self.ready
            .try_get_with(campaign, self.look_up(campaign))
            .await
    }

    async fn look_up(&self, campaign: CampaignId) -> Result<Option<Bytes>, sqlx::Error> {
        let cached = self.cache.get_newer(&key(campaign)).await;
        if let Some(totals) =
            cached.and_then(|(_, bytes)| serde_json::from_slice::<Totals>(&bytes).ok())
        {
            return Ok(Some(render(&totals, Source::Cache)));
        }
        let Some(totals) = db::totals::get(self.db.pool(), campaign).await? else {
            return Ok(None);
        };
        self.put(&totals).await;
        Ok(Some(render(&totals, Source::Database)))
    }

    /// Puts changed totals where the other replicas read them. What Redis does not take now is kept for
    /// [`refresh_again`](Self::refresh_again), or it would serve an older version once it is back.
    pub(crate) async fn refresh(&self, changed: Vec<Totals>) {
        let told = futures::future::join_all(changed.iter().map(|totals| self.put(totals))).await;
        if told.iter().all(|told| *told) {
            return;
        }
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        for (totals, told) in changed.into_iter().zip(told) {
            let newer = untold
                .get(&totals.campaign_id)
                .is_none_or(|known| known.version < totals.version);
            if !told && newer {
                untold.insert(totals.campaign_id, totals);
            }
        }
    }

    /// Tries again what Redis did not take.
    pub(crate) async fn refresh_again(&self) {
        let untold =
            std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
        if !untold.is_empty() {
            self.refresh(untold.into_values().collect()).await;
        }
    }

    async fn put(&self, totals: &Totals) -> bool {
        let bytes = serde_json::to_vec(totals).unwrap_or_default();
        self.cache
            .put_newer(&key(totals.campaign_id), totals.version, &bytes, TTL)
            .await
    }
}

fn key(campaign: CampaignId) -> String {
    format!("totals:{campaign}")
}

fn render(totals: &Totals, source: Source) -> Bytes {
    let view = View::of(totals, source);
    serde_json::to_vec(&view).unwrap_or_default().into()
}

impl View {
    /// What a row says, as it was just read.
    pub(crate) fn read(totals: &Totals) -> Self {
        Self::of(totals, Source::Database)
    }

    fn of(totals: &Totals, source: Source) -> Self {
        Self {
            campaign_id: totals.campaign_id,
            raised: totals.raised(),
            pledged: totals.money(totals.buckets.pledged),
            authorized: totals.money(totals.buckets.authorized),
            captured: totals.money(totals.buckets.captured),
            refunded: totals.money(totals.buckets.refunded),
            disputed: totals.money(totals.buckets.disputed),
            donors: totals.donors,
            goal: totals.goal.map(|goal| totals.money(goal)),
            goal_pct: totals.goal_pct(),
            as_of: totals.as_of,
            lag_ms: totals.lag_ms,
            version: totals.version,
            frozen: totals.frozen,
            source,
        }
    }
}
