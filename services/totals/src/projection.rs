//! From snapshots to totals: new minus old, in one transaction, with every lock taken in the order of the keys.
//!
//! Two replicas may apply overlapping batches at once. The tables are written in one order (campaigns, watermarks,
//! moves, donors, donations, totals, shadow totals), the rows of each in the order of their keys, and so one waits for
//! the other.
//!
//! While a generation is being built, each payment is applied to it as well as to the one that its campaign stands on.

use std::collections::{BTreeMap, HashMap};

use chassis::{
    db::Tx,
    kafka::{Fault, Message},
};
use chrono::{DateTime, Utc};
use common::{
    events::{CampaignState, Event, PaymentEvent, PledgeEvent, topics},
    ids::{CampaignId, PaymentId, PledgeId},
};
use uuid::Uuid;

use crate::{
    db::{
        campaigns,
        donations::{self, News, Shown},
        rebuilds,
        totals::{self, Described},
        watermarks::{self, Key, Watermark},
    },
    domain::{Buckets, Totals},
    sums::{Sums, out_of_range},
};

/// What a move is called that a rebuild makes.
const REBUILD: &str = "rebuild";

/// The newest snapshot of everything that a batch tells of.
#[derive(Default)]
pub(crate) struct Batch {
    campaigns: BTreeMap<CampaignId, CampaignState>,
    pledges: BTreeMap<PledgeId, PledgeEvent>,
    payments: BTreeMap<PaymentId, Told>,
}

/// A payment's snapshot, and where it comes from.
pub(crate) struct Told {
    pub(crate) payment: PaymentEvent,
    pub(crate) cause: &'static str,
    pub(crate) trace_id: Option<String>,
}

/// Which generations a payment is applied to, by its campaign.
#[derive(Default)]
struct Generations {
    standing: HashMap<Uuid, i64>,
    building: Option<(i64, Option<Uuid>)>,
}

impl Batch {
    /// Reads messages of the three topics.
    pub(crate) fn of(messages: &[Message]) -> Result<Self, Fault> {
        let mut batch = Self::default();
        // A deletion says nothing about the past, and totals are about the past.
        for message in messages
            .iter()
            .filter(|message| !message.payload.is_empty())
        {
            if message.topic == topics::PAYMENT.name {
                let payment: PaymentEvent = message.json()?;
                batch.tell(Told {
                    cause: payment.kind.as_str(),
                    trace_id: message
                        .header("traceparent")
                        .and_then(common::trace::id_of)
                        .map(str::to_owned),
                    payment,
                });
            } else if message.topic == topics::PLEDGE.name {
                let pledge: PledgeEvent = message.json()?;
                keep_newest(&mut batch.pledges, pledge.pledge_id, pledge);
            } else if message.topic == topics::CAMPAIGN.name {
                let campaign: CampaignState = message.json()?;
                keep_newest(&mut batch.campaigns, campaign.campaign_id, campaign);
            }
        }
        Ok(batch)
    }

    /// Takes payments as their service has them.
    pub(crate) fn read(payments: impl IntoIterator<Item = PaymentEvent>) -> Self {
        let mut batch = Self::default();
        for payment in payments {
            batch.tell(Told {
                payment,
                cause: REBUILD,
                trace_id: None,
            });
        }
        batch
    }

    fn tell(&mut self, told: Told) {
        let id = told.payment.payment_id;
        let newer = self
            .payments
            .get(&id)
            .is_none_or(|known| known.payment.version < told.payment.version);
        if newer {
            self.payments.insert(id, told);
        }
    }

    /// When the payment that was changed last was changed.
    pub(crate) fn newest_payment(&self) -> Option<DateTime<Utc>> {
        let told = self.payments.values();
        told.map(|told| told.payment.occurred_at).max()
    }

    /// Applies the snapshots and gives the campaigns that changed.
    pub(crate) async fn apply(&self, tx: &mut Tx, at: DateTime<Utc>) -> Result<Vec<Totals>, Fault> {
        if !self.campaigns.is_empty() {
            let said: Vec<_> = self.campaigns.values().collect();
            campaigns::apply(tx, &said).await?;
        }
        let generations = self.generations(tx).await?;
        let (before, after) = self
            .advance(tx, |payment| generations.of(payment.campaign_id))
            .await?;
        let mut sums = Sums::default();
        for watermark in &after {
            let told = &self.payments[&watermark.payment_id.into()];
            let before = before
                .get(&watermark.key())
                .filter(|_| chassis::guard!("snapshot"));
            let stands = generations.standing(watermark.campaign_id) == watermark.generation;
            sums.replace(told, before, watermark, stands)?;
        }
        for campaign in self.campaigns.values() {
            let goal = campaign.goal;
            sums.campaign(campaign.campaign_id, goal.currency)?
                .described = Some(Described {
                goal: goal.minor,
                title: campaign.title.clone(),
                version: campaign.version,
            });
        }
        sums.write_moves_and_donors(tx, at).await?;
        let news: Vec<_> = self.pledges.values().map(news).collect();
        if !news.is_empty() {
            donations::apply(tx, &news).await?;
        }
        let changed = sums.write_totals(tx, at).await?;
        if let Some((generation, _)) = generations.building {
            sums.write_shadow(tx, generation).await?;
        }
        Ok(changed)
    }

    /// Applies the payments to a generation that is being built, and to no other.
    pub(crate) async fn build(
        &self,
        tx: &mut Tx,
        generation: i64,
        at: DateTime<Utc>,
    ) -> Result<(), Fault> {
        let (before, after) = self.advance(tx, |_| vec![generation]).await?;
        let mut sums = Sums::default();
        for watermark in &after {
            let told = &self.payments[&watermark.payment_id.into()];
            sums.replace(told, before.get(&watermark.key()), watermark, false)?;
        }
        sums.write_moves_and_donors(tx, at).await?;
        sums.write_shadow(tx, generation).await
    }

    /// Keeps the generations as they are until the transaction ends, and finds those of the payments.
    async fn generations(&self, tx: &mut Tx) -> Result<Generations, Fault> {
        let mut found = Generations::default();
        if self.payments.is_empty() {
            return Ok(found);
        }
        let mut of: Vec<_> = self
            .payments
            .values()
            .map(|told| told.payment.campaign_id.get())
            .collect();
        of.sort_unstable();
        of.dedup();
        rebuilds::share(tx).await?;
        for (campaign, generation, standing) in totals::generations(tx, &of).await? {
            if let (Some(campaign), true) = (campaign, standing) {
                found.standing.insert(campaign, generation);
            } else {
                found.building = Some((generation, campaign));
            }
        }
        Ok(found)
    }

    /// Advances the watermarks; gives what was applied of the payments before, and those with a newer snapshot.
    async fn advance(
        &self,
        tx: &mut Tx,
        generations: impl Fn(&PaymentEvent) -> Vec<i64>,
    ) -> Result<(BTreeMap<Key, Watermark>, Vec<Watermark>), Fault> {
        if self.payments.is_empty() {
            return Ok(Default::default());
        }
        let mut after = Vec::with_capacity(self.payments.len());
        for told in self.payments.values() {
            for generation in generations(&told.payment) {
                after.push(watermark(&told.payment, generation)?);
            }
        }
        let inserted = watermarks::insert_missing(tx, &after).await?;
        let known: Vec<_> = after
            .iter()
            .map(Watermark::key)
            .filter(|key| !inserted.contains(key))
            .collect();
        if known.is_empty() {
            return Ok((BTreeMap::new(), after));
        }
        let locked = watermarks::lock(tx, &known).await?;
        let before: BTreeMap<_, _> = locked.into_iter().map(|one| (one.key(), one)).collect();
        after.retain(|one| {
            before
                .get(&one.key())
                .is_none_or(|known| known.version < one.version)
        });
        let newer: Vec<_> = after
            .iter()
            .filter(|one| before.contains_key(&one.key()))
            .cloned()
            .collect();
        if !newer.is_empty() {
            watermarks::advance(tx, &newer).await?;
        }
        Ok((before, after))
    }
}

impl Generations {
    /// The one that a campaign stands on; the first for a campaign that is not known.
    fn standing(&self, campaign: Uuid) -> i64 {
        self.standing.get(&campaign).copied().unwrap_or(0)
    }

    /// The one that a campaign stands on, and the one that is being built for it, in their order.
    fn of(&self, campaign: CampaignId) -> Vec<i64> {
        let building = self
            .building
            .filter(|(_, only)| only.is_none_or(|only| only == campaign.get()));
        let mut all: Vec<_> = building
            .map(|(generation, _)| generation)
            .into_iter()
            .collect();
        all.push(self.standing(campaign.get()));
        all.sort_unstable();
        all
    }
}

fn news(pledge: &PledgeEvent) -> News {
    News {
        pledge_id: pledge.pledge_id,
        campaign_id: pledge.campaign_id,
        currency: pledge.amount.currency,
        shown: Shown::of(pledge),
    }
}

fn watermark(payment: &PaymentEvent, generation: i64) -> Result<Watermark, Fault> {
    let buckets = Buckets::of(payment).ok_or_else(out_of_range)?;
    Ok(Watermark {
        payment_id: payment.payment_id.get(),
        generation,
        campaign_id: payment.campaign_id.get(),
        pledge_id: Some(payment.pledge_id.get()),
        donor_ref: payment.donor_ref.clone(),
        version: payment.version,
        buckets,
        given_at: (buckets.captured != 0).then_some(payment.occurred_at),
    })
}

fn keep_newest<K: Ord, E: Event>(known: &mut BTreeMap<K, E>, id: K, event: E) {
    let newer = known
        .get(&id)
        .is_none_or(|known| known.version() < event.version());
    if newer {
        known.insert(id, event);
    }
}
