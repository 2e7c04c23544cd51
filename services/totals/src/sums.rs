//! What a batch of payments changes: each as what it is now minus what was applied of it before.

use std::collections::BTreeMap;

use chassis::{db::Tx, kafka::Fault};
use chrono::{DateTime, Utc};
use common::{ids::CampaignId, money::Currency};
use uuid::Uuid;

use crate::{
    db::{
        donors,
        moves::{self, New},
        shadow,
        totals::{self, Change},
        watermarks::Watermark,
    },
    domain::{Buckets, Totals},
    projection::Told,
};

/// Changes, by where they are written.
#[derive(Default)]
pub(crate) struct Sums<'a> {
    moves: Vec<New<'a>>,
    donors: BTreeMap<(Uuid, i64, &'a str), i64>,
    /// Of what stands.
    campaigns: BTreeMap<CampaignId, Change>,
    /// Of what is being built.
    shadow: BTreeMap<CampaignId, Change>,
    /// The generation of each campaign that stands.
    standing: BTreeMap<CampaignId, i64>,
}

impl<'a> Sums<'a> {
    /// Takes out what was applied of a payment and puts in what it is now; `stands` says whether the generation is the
    /// one that its campaign stands on.
    pub(crate) fn replace(
        &mut self,
        told: &'a Told,
        before: Option<&'a Watermark>,
        after: &'a Watermark,
        stands: bool,
    ) -> Result<(), Fault> {
        let currency = told.payment.amount.currency;
        if let Some(before) = before {
            let taken = Buckets::default()
                .minus(before.buckets)
                .ok_or_else(out_of_range)?;
            self.add(before, taken, currency, stands)?;
            self.count(before, -gifts(before));
        }
        self.add(after, after.buckets, currency, stands)?
            .counts(told.payment.occurred_at);
        self.count(after, gifts(after));
        // A payment does not change its campaign; where it did, each of the two gets its own move.
        let same = before.filter(|before| before.campaign_id == after.campaign_id);
        let by = after
            .buckets
            .minus(same.map(|before| before.buckets).unwrap_or_default())
            .ok_or_else(out_of_range)?;
        let mut note = |of: &Watermark, by: Buckets| {
            if !by.is_empty() {
                self.moves.push(New {
                    campaign_id: of.campaign_id,
                    generation: of.generation,
                    payment_id: of.payment_id,
                    version: after.version,
                    cause: told.cause,
                    by,
                    trace_id: told.trace_id.as_deref(),
                });
            }
        };
        if let (Some(before), None) = (before, same) {
            let taken = Buckets::default().minus(before.buckets);
            note(before, taken.ok_or_else(out_of_range)?);
        }
        note(after, by);
        Ok(())
    }

    /// What changes of a campaign as it stands.
    pub(crate) fn campaign(
        &mut self,
        campaign_id: CampaignId,
        currency: Currency,
    ) -> Result<&mut Change, Fault> {
        change(&mut self.campaigns, campaign_id, currency)
    }

    fn add(
        &mut self,
        of: &Watermark,
        buckets: Buckets,
        currency: Currency,
        stands: bool,
    ) -> Result<&mut Change, Fault> {
        let campaign = of.campaign_id.into();
        let place = if stands {
            self.standing.insert(campaign, of.generation);
            &mut self.campaigns
        } else {
            &mut self.shadow
        };
        let change = change(place, campaign, currency)?;
        change.buckets = change.buckets.plus(buckets).ok_or_else(out_of_range)?;
        Ok(change)
    }

    fn count(&mut self, of: &'a Watermark, gifts: i64) {
        let key = (of.campaign_id, of.generation, of.donor_ref.as_str());
        *self.donors.entry(key).or_default() += gifts;
    }

    /// Writes the moves, and who has money in which campaign.
    pub(crate) async fn write_moves_and_donors(
        &mut self,
        tx: &mut Tx,
        at: DateTime<Utc>,
    ) -> Result<(), Fault> {
        moves::insert(tx, &self.moves, at).await?;
        self.donors.retain(|_, gifts| *gifts != 0);
        if self.donors.is_empty() {
            return Ok(());
        }
        for ((campaign, generation), grown) in donors::add(tx, &self.donors).await? {
            let campaign = campaign.into();
            let stands = self.standing.get(&campaign) == Some(&generation);
            let place = if stands {
                &mut self.campaigns
            } else {
                &mut self.shadow
            };
            if let Some(change) = place.get_mut(&campaign) {
                change.donors = grown;
            }
        }
        Ok(())
    }

    /// Writes what stands, and gives what changed of it. A campaign with a bucket below zero is frozen.
    pub(crate) async fn write_totals(
        &mut self,
        tx: &mut Tx,
        at: DateTime<Utc>,
    ) -> Result<Vec<Totals>, Fault> {
        let changes: Vec<_> = std::mem::take(&mut self.campaigns)
            .into_values()
            .filter(|change| change.has_money() || change.described.is_some())
            .collect();
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut changed = totals::apply(tx, &changes, at).await?;
        if changed.len() < changes.len() {
            refuse_other_currencies(tx, &changes).await?;
        }
        let mut frozen = Vec::new();
        for totals in &mut changed {
            if totals.buckets.negative().next().is_some() {
                totals.frozen = true;
                frozen.push(totals.campaign_id.get());
            }
        }
        if !frozen.is_empty() {
            totals::freeze(tx, &frozen).await?;
        }
        Ok(changed)
    }

    /// Writes what is being built.
    pub(crate) async fn write_shadow(&mut self, tx: &mut Tx, generation: i64) -> Result<(), Fault> {
        let changes: Vec<_> = std::mem::take(&mut self.shadow).into_values().collect();
        if changes.is_empty() {
            return Ok(());
        }
        let taken = shadow::apply(tx, generation, &changes).await?;
        if usize::try_from(taken).is_ok_and(|taken| taken < changes.len()) {
            return Err(other_currency());
        }
        Ok(())
    }
}

fn change(
    place: &mut BTreeMap<CampaignId, Change>,
    campaign_id: CampaignId,
    currency: Currency,
) -> Result<&mut Change, Fault> {
    let change = place
        .entry(campaign_id)
        .or_insert_with(|| Change::new(campaign_id, currency));
    if change.currency == currency {
        Ok(change)
    } else {
        Err(other_currency())
    }
}

/// A campaign that was left alone has nothing new, is frozen, or is of another currency than what it should take.
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

/// An amount that no sum can hold.
pub(crate) fn out_of_range() -> Fault {
    Fault::permanent("an amount is out of range")
}
