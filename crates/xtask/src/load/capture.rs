//! How soon a captured gift is in the total, at a steady rate of whole donations.
//!
//! Every donor at work has a campaign alone, so the one change that they wait for is their own gift: they ask for the
//! total as any client would, through the gateway, until it is exactly right. The clock starts at the provider's reply
//! to the donor, which is before the webhook has been answered, so the figure is a little worse than the promise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::client::Client;
use super::donations::join;
use super::latency::Latency;
use crate::fleet::state::State;
use crate::interrupt;

/// Donors at work per hundred donations a second, each of which takes two tenths of a second or less.
const DONORS_PER_HUNDRED: usize = 32;
/// How often a donor asks for the total.
const PAUSE: Duration = Duration::from_millis(25);
/// The longest that a total may take.
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

/// How many donors, and so campaigns, a rate needs.
pub fn donors(rate: u32) -> Result<usize> {
    Ok((DONORS_PER_HUNDRED * usize::try_from(rate)?)
        .div_ceil(100)
        .max(1))
}

/// Donates at a steady rate and waits for each gift's total. There must be [`donors`] campaigns at least.
pub fn drive(fleet: &State, campaigns: &[String], rate: u32, seconds: u64) -> Result<Captures> {
    let campaigns = &campaigns[..donors(rate)?.min(campaigns.len())];
    let count = usize::try_from(u64::from(rate) * seconds)?;
    let turn = AtomicUsize::new(0);
    let began = Instant::now();
    let times = std::thread::scope(|scope| {
        let donors: Vec<_> = campaigns
            .iter()
            .map(|campaign| {
                let turn = &turn;
                scope.spawn(move || donate_in_turn(fleet, campaign, turn, count, began, rate))
            })
            .collect();
        join(donors)
    })?;
    let tried = times.len();
    let times: Vec<Duration> = times.into_iter().flatten().collect();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of donations is far below 2^52"
    )]
    let per_second = times.len() as f64 / began.elapsed().as_secs_f64();
    Ok(Captures {
        count: times.len(),
        refused: tried - times.len(),
        rate,
        per_second,
        to_total: Latency::of(times).context("no donation came through")?,
    })
}

/// One campaign for each donor, each with one gift already, so that every service knows of it.
pub fn open_campaigns(fleet: &State, count: usize) -> Result<Vec<String>> {
    let client = Client::new(fleet);
    let token = client.log_in(&fleet.admin.email, &fleet.admin.password)?;
    let campaigns = (0..count)
        .map(|number| client.open_campaign(&token, &format!("Load run, donor {number}")))
        .collect::<Result<Vec<_>>>()?;
    for campaign in &campaigns {
        // Until the pledge service has heard of it, the campaign does not exist there.
        let paid = interrupt::poll(PATIENCE, || client.donate(campaign, 500))?;
        let paid =
            paid.with_context(|| format!("campaign {campaign} never became open to gifts"))?;
        await_total(&client, campaign, paid.amount)?;
    }
    Ok(campaigns)
}

/// Takes the next arrival whenever it is free. An arrival that is overdue goes at once.
fn donate_in_turn(
    fleet: &State,
    campaign: &str,
    turn: &AtomicUsize,
    count: usize,
    began: Instant,
    rate: u32,
) -> Result<Vec<Option<Duration>>> {
    let client = Client::new(fleet);
    let mut total = client.raised(campaign)?;
    let mut times = Vec::new();
    loop {
        let arrival = turn.fetch_add(1, Ordering::Relaxed);
        if arrival >= count {
            return Ok(times);
        }
        interrupt::check()?;
        let due = began + Duration::from_secs(1) * u32::try_from(arrival)? / rate;
        sleep(due.saturating_duration_since(Instant::now()));
        let paid = client.donate(campaign, 700)?;
        if let Some(paid) = paid {
            total += paid.amount;
            await_total(&client, campaign, total)?;
        }
        times.push(paid.map(|paid| paid.confirmed.elapsed()));
    }
}

fn await_total(client: &Client, campaign: &str, expected: i64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // A campaign without a gift has no total yet.
        let now = client.raised(campaign).unwrap_or(0);
        if now == expected {
            return Ok(());
        }
        if now > expected || Instant::now() > deadline {
            bail!("the total of campaign {campaign} is {now}, not {expected}");
        }
        sleep(PAUSE);
    }
}
