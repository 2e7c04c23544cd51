//! From snapshots to totals: new minus old, in one transaction, with every lock taken in the order of the ids.
//!
//! Two replicas may apply overlapping batches at once. The tables are written in one order (watermarks, donors,
//! donations, totals), the rows of each in the order of their keys, and so one waits for the other.

use std::collections::BTreeMap;

use chassis::{
    db::Tx,
    kafka::{Fault, Message},
};
use chrono::{DateTime, Utc};
use common::{
    events::{CampaignState, Event, PaymentEvent, PledgeEvent, topics},
    ids::{CampaignId, PaymentId, PledgeId},
    money::Currency,
};
use uuid::Uuid;

use crate::{
    db::{
        donations::{self, News, Shown},
        donors,
        totals::{self, Change, Described},
        watermarks::{self, Watermark},
    },
    domain::{Buckets, Totals},
};

/// The newest snapshot of everything that a batch tells of.
#[derive(Default)]
pub(crate) struct Batch {
    campaigns: BTreeMap<CampaignId, CampaignState>,
    pledges: BTreeMap<PledgeId, PledgeEvent>,
    payments: BTreeMap<PaymentId, PaymentEvent>,
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
                keep_newest(&mut batch.payments, payment.payment_id, payment);
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

    /// Applies the snapshots and gives the campaigns that changed.
    pub(crate) async fn apply(&self, tx: &mut Tx, at: DateTime<Utc>) -> Result<Vec<Totals>, Fault> {
        let (before, after) = self.advance(tx).await?;
        let mut sums = Sums::default();
        for watermark in &after {
            let payment = &self.payments[&watermark.payment_id.into()];
            let before = before.get(&watermark.payment_id);
            let before = before.filter(|_| chassis::guard!("snapshot"));
            sums.replace(payment, before, watermark)?;
        }
        for pledge in self.pledges.values() {
            sums.pledge(pledge.pledge_id, pledge.campaign_id, pledge.amount.currency)
                .shown = Some(Shown::of(pledge));
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
        sums.write(tx, at).await
    }

    /// Advances the watermarks; gives what was applied of the payments before, and those with a newer snapshot.
    async fn advance(
        &self,
        tx: &mut Tx,
    ) -> Result<(BTreeMap<Uuid, Watermark>, Vec<Watermark>), Fault> {
        if self.payments.is_empty() {
            return Ok(Default::default());
        }
        let mut after = self
            .payments
            .values()
            .map(watermark)
            .collect::<Result<Vec<_>, _>>()?;
        let inserted = watermarks::insert_missing(tx, &after).await?;
        let known: Vec<_> = after
            .iter()
            .map(|one| one.payment_id)
            .filter(|id| !inserted.contains(id))
            .collect();
        if known.is_empty() {
            return Ok((BTreeMap::new(), after));
        }
        let locked = watermarks::lock(tx, &known).await?;
        let before: BTreeMap<_, _> = locked
            .into_iter()
            .map(|one| (one.payment_id, one))
            .collect();
        after.retain(|one| {
            before
                .get(&one.payment_id)
                .is_none_or(|known| known.version < one.version)
        });
        let newer: Vec<_> = after
            .iter()
            .filter(|one| before.contains_key(&one.payment_id))
            .cloned()
            .collect();
        if !newer.is_empty() {
            watermarks::advance(tx, &newer).await?;
        }
        Ok((before, after))
    }
}

/// What a batch changes, by where it is written.
#[derive(Default)]
struct Sums<'a> {
    donors: BTreeMap<(Uuid, &'a str), i64>,
    pledges: BTreeMap<PledgeId, News>,
    campaigns: BTreeMap<CampaignId, Change>,
}

impl<'a> Sums<'a> {
    /// Takes out what was applied of a payment and puts in what it is now.
    fn replace(
        &mut self,
        payment: &PaymentEvent,
        before: Option<&'a Watermark>,
        after: &'a Watermark,
    ) -> Result<(), Fault> {
        let currency = payment.amount.currency;
        let mut net = after.buckets.raised().ok_or_else(out_of_range)?;
        if let Some(before) = before {
            let change = self.campaign(before.campaign_id.into(), currency)?;
            change.buckets = change
                .buckets
                .minus(before.buckets)
                .ok_or_else(out_of_range)?;
            *self
                .donors
                .entry((before.campaign_id, &before.donor_ref))
                .or_default() -= gifts(before);
            net = before
                .buckets
                .raised()
                .and_then(|raised| net.checked_sub(raised))
                .ok_or_else(out_of_range)?;
        }
        let change = self.campaign(payment.campaign_id, currency)?;
        change.buckets = change
            .buckets
            .plus(after.buckets)
            .ok_or_else(out_of_range)?;
        *self
            .donors
            .entry((after.campaign_id, &after.donor_ref))
            .or_default() += gifts(after);
        if net != 0 {
            let pledge = self.pledge(payment.pledge_id, payment.campaign_id, currency);
            pledge.net = pledge.net.checked_add(net).ok_or_else(out_of_range)?;
            pledge.given_at.get_or_insert(payment.occurred_at);
        }
        Ok(())
    }

    fn pledge(
        &mut self,
        pledge_id: PledgeId,
        campaign_id: CampaignId,
        currency: Currency,
    ) -> &mut News {
        self.pledges.entry(pledge_id).or_insert_with(|| News {
            pledge_id,
            campaign_id,
            currency,
            shown: None,
            net: 0,
            given_at: None,
        })
    }

    fn campaign(
        &mut self,
        campaign_id: CampaignId,
        currency: Currency,
    ) -> Result<&mut Change, Fault> {
        let change = self
            .campaigns
            .entry(campaign_id)
            .or_insert_with(|| Change::new(campaign_id, currency));
        if change.currency == currency {
            Ok(change)
        } else {
            Err(other_currency())
        }
    }

    async fn write(mut self, tx: &mut Tx, at: DateTime<Utc>) -> Result<Vec<Totals>, Fault> {
        self.donors.retain(|_, gifts| *gifts != 0);
        if !self.donors.is_empty() {
            for (campaign, grown) in donors::add(tx, &self.donors).await? {
                if let Some(change) = self.campaigns.get_mut(&campaign.into()) {
                    change.donors = grown;
                }
            }
        }
        if !self.pledges.is_empty() {
            let news: Vec<_> = self.pledges.into_values().collect();
            donations::apply(tx, &news).await?;
        }
        self.campaigns
            .retain(|_, change| change.has_money() || change.described.is_some());
        if self.campaigns.is_empty() {
            return Ok(Vec::new());
        }
        let changes: Vec<_> = self.campaigns.into_values().collect();
        let changed = totals::apply(tx, &changes, at).await?;
        if changed.len() < changes.len() {
            refuse_other_currencies(tx, &changes).await?;
        }
        Ok(changed)
    }
}

/// A campaign that was left alone has nothing new, or is of another currency than what it should take.
async fn refuse_other_currencies(tx: &mut Tx, changes: &[Change]) -> Result<(), Fault> {
    let ids: Vec<_> = changes
        .iter()
        .map(|change| change.campaign_id.get())
        .collect();
    let known = totals::currencies(tx, &ids).await?;
    let differs = |change: &Change| {
        known
            .get(&change.campaign_id.get())
            .is_some_and(|known| known != change.currency.as_str())
    };
    if changes.iter().any(differs) {
        Err(other_currency())
    } else {
        Ok(())
    }
}

/// How many gifts a payment stands for.
fn gifts(of: &Watermark) -> i64 {
    i64::from(of.buckets.captured > 0)
}

fn other_currency() -> Fault {
    Fault::permanent("a campaign has one currency, and this is another")
}

fn watermark(payment: &PaymentEvent) -> Result<Watermark, Fault> {
    Ok(Watermark {
        payment_id: payment.payment_id.get(),
        campaign_id: payment.campaign_id.get(),
        donor_ref: payment.donor_ref.clone(),
        version: payment.version,
        buckets: Buckets::of(payment).ok_or_else(out_of_range)?,
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

fn out_of_range() -> Fault {
    Fault::permanent("an amount is out of range")
}
