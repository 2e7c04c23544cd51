//! How soon a captured gift is in the total, at a steady rate of whole donations.
//!
//! The clock starts at the provider's reply to the donor, which is before the webhook has been answered, so the figure
//! is a little worse than the promise.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::arrivals::Arrivals;
use super::client::Client;
use super::donations::join;
use super::latency::Latency;
use super::watch::{self, Gifts};
use crate::fleet::state::State;
use crate::interrupt;

/// Donors at work per hundred donations a second, each of which takes two tenths of a second or less.
const DONORS_PER_HUNDRED: usize = 32;
/// What each of these gifts is, in minor units.
const AMOUNT: i64 = 700;
/// What a new campaign is given, in minor units.
const FIRST: i64 = 500;
/// The longest that a new campaign, or the total of its first gift, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How soon gifts are in the total.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Captures {
    /// How many were given.
    pub count: usize,
    /// How many were refused before there was anything to charge.
    pub refused: usize,
    /// The rate that was asked for, per second.
    pub rate: u32,
    /// The rate that was reached, per second.
    pub per_second: f64,
    /// From the provider's reply to the total.
    pub to_total: Latency,
}

/// Donates to these campaigns in turn, at a steady rate, and times each gift until it is in its campaign's total.
pub fn drive(fleet: &State, campaigns: &[String], rate: u32, seconds: u64) -> Result<Captures> {
    let donors = (DONORS_PER_HUNDRED * usize::try_from(rate)?).div_ceil(100);
    let count = usize::try_from(u64::from(rate) * seconds)?;
    let arrivals = Arrivals::begin(count, Some(rate));
    let ((charged, took), seen) = watch::during(fleet, campaigns, AMOUNT, |gifts| {
        let charged = std::thread::scope(|scope| {
            let donors: Vec<_> = (0..donors)
                .map(|_| scope.spawn(|| donate_in_turn(fleet, campaigns, &arrivals, gifts)))
                .collect();
            join(donors)
        })?;
        Ok((charged, arrivals.elapsed()))
    })?;
    let given = charged.iter().filter(|charged| **charged).count();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of donations is far below 2^52"
    )]
    let per_second = given as f64 / took.as_secs_f64();
    Ok(Captures {
        count: given,
        refused: charged.len() - given,
        rate,
        per_second,
        to_total: seen.to_total,
    })
}

/// New campaigns, each with one gift already, so that every service knows of it.
pub fn open_campaigns(fleet: &State, count: usize) -> Result<Vec<String>> {
    let client = Client::new(fleet);
    let token = client.log_in(&fleet.admin.email, &fleet.admin.password)?;
    let campaigns = (0..count)
        .map(|number| client.open_campaign(&token, &format!("Load run, campaign {number}")))
        .collect::<Result<Vec<_>>>()?;
    for campaign in &campaigns {
        // Until the pledge service has heard of it, the campaign does not exist there.
        let paid = interrupt::poll(PATIENCE, || client.donate(campaign, FIRST))?;
        paid.with_context(|| format!("campaign {campaign} never became open to gifts"))?;
    }
    let counted = interrupt::poll(PATIENCE, || {
        let totals = client.all_raised(&campaigns)?;
        let most = totals.iter().copied().max().unwrap_or_default();
        ensure!(most <= FIRST, "a campaign's total is {most}, not {FIRST}");
        Ok(totals.iter().all(|total| *total == FIRST).then_some(()))
    })?;
    counted.context("not every campaign's first gift is in its total")?;
    Ok(campaigns)
}

/// Takes the next arrival whenever it is free, and says of each whether it was charged.
fn donate_in_turn(
    fleet: &State,
    campaigns: &[String],
    arrivals: &Arrivals,
    gifts: &Gifts,
) -> Result<Vec<bool>> {
    let client = Client::new(fleet);
    let mut charged = Vec::new();
    while let Some((arrival, _due)) = arrivals.next()? {
        let campaign = arrival % campaigns.len();
        let paid = client.donate(&campaigns[campaign], AMOUNT)?;
        if paid.is_some() {
            gifts.captured(campaign);
        }
        charged.push(paid.is_some());
    }
    Ok(charged)
}
