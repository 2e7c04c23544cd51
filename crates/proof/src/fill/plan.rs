//! What a fill is to make.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use common::ids::CampaignId;
use uuid::Uuid;

use super::gift::{Gift, Of, timed};

/// Over how long the gifts were given.
const SPAN: TimeDelta = TimeDelta::days(30);
/// Which part of that money takes to become available: so many of the last gifts are CAPTURED and no further.
const SETTLING: i32 = 100;
/// The last gift is as old as this, so that nothing made up is younger than what the fleet does next.
const AGE: TimeDelta = TimeDelta::hours(1);

/// How many finished donations to make, and of what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many donations.
    pub gifts: u64,
    /// To how many campaigns.
    pub campaigns: u64,
    /// All ids and amounts follow from it; another one makes others.
    pub seed: u64,
    /// When the last one was given.
    pub until: DateTime<Utc>,
    /// Who runs the campaigns.
    pub(super) organiser: Uuid,
    /// The last number of each year's receipts that there is already.
    pub(super) receipts: BTreeMap<i32, i64>,
}

impl Plan {
    /// Donations that end an hour before now.
    pub fn new(gifts: u64, campaigns: u64, now: DateTime<Utc>) -> Self {
        let until = now - AGE;
        Self {
            gifts,
            campaigns: campaigns.max(1),
            seed: until.timestamp_micros().unsigned_abs(),
            until,
            organiser: Uuid::nil(),
            receipts: BTreeMap::new(),
        }
    }

    /// When the campaigns were made.
    pub(super) fn since(&self) -> DateTime<Utc> {
        self.until - SPAN - TimeDelta::days(1)
    }

    /// When a gift was made.
    pub(super) fn made_at(&self, n: u64) -> DateTime<Utc> {
        let millis = SPAN.num_milliseconds();
        let left = self.gifts.saturating_sub(n).min(self.gifts);
        let share = i128::from(millis) * i128::from(left) / i128::from(self.gifts.max(1));
        let share = i64::try_from(share).unwrap_or(millis);
        self.until - TimeDelta::minutes(1) - TimeDelta::milliseconds(share)
    }

    /// How long money takes to become available.
    pub(super) fn settling() -> TimeDelta {
        SPAN / SETTLING
    }

    /// The campaign of this number.
    pub(super) fn campaign(&self, number: u64) -> CampaignId {
        timed(self.since(), self.seed, Of::Campaign, number).into()
    }

    /// The number of a campaign drawn from 32 random bits: the first ones are loved best.
    pub(super) fn popular(&self, draw: u64) -> u64 {
        let share = u128::from(draw & 0xffff_ffff);
        let number = (share * share * u128::from(self.campaigns)) >> 64;
        u64::try_from(number).unwrap_or_default()
    }

    /// The gifts, oldest first.
    pub(super) fn gifts(&self) -> impl Iterator<Item = Gift> + Clone {
        (0..self.gifts).map(|n| Gift::nth(self, n))
    }

    /// Year and number of a gift's receipt.
    pub(super) fn receipt(&self, n: u64, captured: DateTime<Utc>) -> (i32, i64) {
        let year = captured.year();
        let (mut low, mut high) = (0, n);
        while low < high {
            let middle = u64::midpoint(low, high);
            if Gift::nth(self, middle).captured.year() < year {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let before = self.receipts.get(&year).copied().unwrap_or_default();
        let within = i64::try_from(n - low).unwrap_or(i64::MAX);
        (year, before + within + 1)
    }

    /// The last receipt of each year that has one.
    pub(super) fn last_receipts(&self) -> BTreeMap<i32, i64> {
        let last = Gift::nth(self, self.gifts.saturating_sub(1)).captured;
        let first = Gift::nth(self, 0).captured;
        (first.year()..=last.year())
            .filter_map(|year| {
                let of_year = |n: &u64| Gift::nth(self, *n).captured.year() == year;
                let n = (0..self.gifts).rev().find(of_year)?;
                Some(self.receipt(n, Gift::nth(self, n).captured))
            })
            .collect()
    }
}
