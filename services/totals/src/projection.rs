//! From snapshots to totals: new minus old, in one transaction, with every lock taken in the order of the ids.
//!
//! Two replicas may apply overlapping batches at once. The tables are written in one order (campaigns, pledges,
//! watermarks, donors, gifts, totals), the rows of each in the order of their keys, and so one waits for the other.

use std::collections::BTreeMap;

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
        donations::{self, Gift},
        donors,
        totals::{self, Change},
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

    /// Applies the snapshots and gives the campaigns that changed, each at its last version.
    pub(crate) async fn apply(&self, tx: &mut Tx, at: DateTime<Utc>) -> Result<Vec<Totals>, Fault> {
        let mut changed = BTreeMap::new();
        if !self.campaigns.is_empty() {
            let campaigns: Vec<_> = self.campaigns.values().collect();
            let described = totals::describe(tx, &campaigns, at).await?;
            changed.extend(
                described
                    .into_iter()
                    .map(|totals| (totals.campaign_id, totals)),
            );
        }
        if !self.pledges.is_empty() {
            let pledges: Vec<_> = self.pledges.values().collect();
            donations::promise(tx, &pledges).await?;
        }
        if !self.payments.is_empty() {
            let paid = self.pay(tx, at).await?;
            changed.extend(paid.into_iter().map(|totals| (totals.campaign_id, totals)));
        }
        Ok(changed.into_values().collect())
    }

    async fn pay(&self, tx: &mut Tx, at: DateTime<Utc>) -> Result<Vec<Totals>, Fault> {
        let snapshots = self
            .payments
            .values()
            .map(watermark)
            .collect::<Result<Vec<_>, _>>()?;
        let inserted = watermarks::insert_missing(tx, &snapshots).await?;
        let known: Vec<Uuid> = snapshots
            .iter()
            .map(|one| one.payment_id)
            .filter(|id| !inserted.contains(id))
            .collect();
        let mut before = BTreeMap::new();
        if !known.is_empty() {
            let locked = watermarks::lock(tx, &known).await?;
            before.extend(locked.into_iter().map(|one| (one.payment_id, one)));
        }
        let is_news = |one: &Watermark| {
            before
                .get(&one.payment_id)
                .is_none_or(|known| known.version < one.version)
        };
        let news: Vec<_> = snapshots.into_iter().filter(is_news).collect();
        let newer: Vec<_> = news
            .iter()
            .filter(|one| before.contains_key(&one.payment_id))
            .cloned()
            .collect();
        if !newer.is_empty() {
            watermarks::advance(tx, &newer).await?;
        }
        let mut sums = Sums::default();
        for after in &news {
            let payment = &self.payments[&after.payment_id.into()];
            sums.replace(payment, before.get(&after.payment_id), after)?;
        }
        sums.write(tx, at).await
    }
}

/// What a batch adds, by where it is added.
#[derive(Default)]
struct Sums<'a> {
    campaigns: BTreeMap<CampaignId, Change>,
    donors: BTreeMap<(Uuid, &'a str), i64>,
    gifts: BTreeMap<PledgeId, Gift>,
}

impl<'a> Sums<'a> {
    /// Takes out what was applied of a payment and puts in what it is now.
    fn replace(
        &mut self,
        payment: &PaymentEvent,
        before: Option<&'a Watermark>,
        after: &'a Watermark,
    ) -> Result<(), Fault> {
        let none = Buckets::default();
        let old = before.map_or(none, |before| before.buckets);
        if let Some(before) = before {
            self.add(payment, before, none.minus(old))?;
        }
        self.add(payment, after, Some(after.buckets))?;
        let net = after
            .buckets
            .raised()
            .zip(old.raised())
            .and_then(|(new, old)| new.checked_sub(old));
        let net = net.ok_or_else(out_of_range)?;
        if net != 0 {
            let gift = self.gifts.entry(payment.pledge_id).or_insert(Gift {
                campaign_id: payment.campaign_id,
                currency: payment.amount.currency,
                net: 0,
                given_at: payment.occurred_at,
            });
            gift.net = gift.net.checked_add(net).ok_or_else(out_of_range)?;
        }
        Ok(())
    }

    /// Adds the whole of a watermark, or takes it out where `buckets` is negative.
    fn add(
        &mut self,
        payment: &PaymentEvent,
        of: &'a Watermark,
        buckets: Option<Buckets>,
    ) -> Result<(), Fault> {
        let buckets = buckets.ok_or_else(out_of_range)?;
        let campaign_id = CampaignId::from(of.campaign_id);
        let currency = payment.amount.currency;
        let fresh = Change {
            campaign_id,
            currency,
            buckets: Buckets::default(),
            donors: 0,
        };
        let change = self.campaigns.entry(campaign_id).or_insert(fresh);
        if change.currency != currency {
            return Err(Fault::permanent(
                "payments of one campaign are of two currencies",
            ));
        }
        change.buckets = change.buckets.plus(buckets).ok_or_else(out_of_range)?;
        *self
            .donors
            .entry((of.campaign_id, &of.donor_ref))
            .or_default() += buckets.captured.signum();
        Ok(())
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
        self.gifts.retain(|_, gift| gift.net != 0);
        if !self.gifts.is_empty() {
            let gifts: Vec<_> = self.gifts.into_iter().collect();
            donations::give(tx, &gifts).await?;
        }
        let changes: Vec<_> = self
            .campaigns
            .into_values()
            .filter(|change| change.buckets != Buckets::default() || change.donors != 0)
            .collect();
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let totals = totals::add(tx, &changes, at).await?;
        if totals.len() != changes.len() {
            return Err(Fault::permanent(
                "a payment is not of its campaign's currency",
            ));
        }
        Ok(totals)
    }
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
