//! The most webhooks that are applied, and how soon a campaign that everybody gives to shows it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::client::Client;
use super::latency::Latency;
use super::signed::{self, AMOUNT};
use super::wire::{self, Pace, Sent};
use crate::fleet::state::State;
use crate::interrupt;

/// The longest that the totals may take to come right.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the total of the viral campaign is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// What the answer to a webhook that moved a payment says: its verdict is APPLIED, or IMPLIED where it skipped a step.
const APPLIED: &str = "PLIED\"";

/// Webhooks back to back.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Webhooks {
    /// How many were sent, each of another payment.
    pub count: usize,
    /// How many moved their payment.
    pub applied: usize,
    /// Applied ones per second, from the first sent until the last was answered.
    pub per_second: f64,
    /// How long each took.
    pub answer: Latency,
    /// How long after the last answer all totals were exactly right, in seconds.
    pub settling: f64,
}

/// Webhooks of one campaign at a steady rate.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Viral {
    /// How many were sent.
    pub count: usize,
    /// The rate that was asked for, per second.
    pub rate: u32,
    /// Captures in the total per second, from the first sent until the last was in the total.
    pub per_second: f64,
    /// From the n-th answer until the total held n gifts.
    pub to_total: Latency,
}

/// Sends prepared webhooks of payments to all these campaigns, as fast as they are answered.
pub(super) fn drive(
    fleet: &State,
    run_dir: &Path,
    campaigns: &[String],
    count: usize,
    connections: usize,
) -> Result<Webhooks> {
    let client = Client::new(fleet);
    let before = raised(&client, campaigns)?;
    let requests = signed::prepare(fleet, run_dir, campaigns, count)?;
    let pace = Pace {
        authority: wire::authority(&fleet.gateway),
        connections,
        count,
        rate: None,
        hit: APPLIED,
    };
    let sent = wire::drive(pace, |n| requests[n].clone())?;
    let answered = Instant::now();
    let expected = before + AMOUNT * i64::try_from(count)?;
    let right = interrupt::poll(PATIENCE, || {
        Ok((raised(&client, campaigns)? == expected).then_some(()))
    })?;
    right.context("the totals do not hold what the webhooks told")?;
    let settling = answered.elapsed().as_secs_f64();
    signed::release(fleet)?;
    let applied = applied(&sent)?;
    let last = sent.iter().map(|one| one.at).max().unwrap_or_default();
    Ok(Webhooks {
        count,
        applied,
        per_second: rate(applied, last),
        answer: Latency::of(sent.iter().map(|one| one.took).collect())
            .context("no webhook was sent")?,
        settling,
    })
}

/// Sends prepared webhooks of one campaign at a steady rate, and watches its total.
pub(super) fn viral(
    fleet: &State,
    run_dir: &Path,
    campaign: &String,
    per_second: u32,
    seconds: u64,
) -> Result<Viral> {
    let client = Client::new(fleet);
    let before = client.raised(campaign)?;
    let count = usize::try_from(u64::from(per_second) * seconds)?;
    let requests = signed::prepare(fleet, run_dir, std::slice::from_ref(campaign), count)?;
    let pace = Pace {
        authority: wire::authority(&fleet.gateway),
        connections: 32,
        count,
        rate: Some(per_second),
        hit: APPLIED,
    };
    let over = AtomicBool::new(false);
    let began = Instant::now();
    let (sent, seen) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| watch(fleet, campaign, before, count, began, &over));
        let sent = wire::drive(pace, |n| requests[n].clone());
        over.store(sent.is_err(), Ordering::Relaxed);
        let seen = watch.join();
        (sent, seen)
    });
    let sent = sent?;
    let seen = seen.map_err(|_| anyhow::anyhow!("the watch on the total panicked"))??;
    signed::release(fleet)?;
    ensure!(
        applied(&sent)? == count,
        "not every webhook moved its payment"
    );
    let mut answered: Vec<Duration> = sent.iter().map(|one| one.at).collect();
    answered.sort_unstable();
    let lag = answered
        .iter()
        .zip(&seen)
        .map(|(at, seen)| seen.saturating_sub(*at));
    Ok(Viral {
        count,
        rate: per_second,
        per_second: rate(count, seen.last().copied().unwrap_or_default()),
        to_total: Latency::of(lag.collect()).context("no webhook was sent")?,
    })
}

/// When the total first held one gift, two gifts, and so on.
fn watch(
    fleet: &State,
    campaign: &str,
    before: i64,
    count: usize,
    began: Instant,
    over: &AtomicBool,
) -> Result<Vec<Duration>> {
    let client = Client::new(fleet);
    let mut seen = Vec::with_capacity(count);
    let deadline = Instant::now() + 2 * PATIENCE;
    while seen.len() < count {
        ensure!(Instant::now() < deadline, "the total never held all gifts");
        ensure!(
            !over.load(Ordering::Relaxed),
            "the webhooks could not be sent"
        );
        let gifts = usize::try_from((client.raised(campaign)? - before) / AMOUNT)?;
        ensure!(gifts <= count, "the total holds more than was given");
        seen.resize(gifts.max(seen.len()), began.elapsed());
        std::thread::sleep(LOOK);
    }
    Ok(seen)
}

fn raised(client: &Client, campaigns: &[String]) -> Result<i64> {
    campaigns
        .iter()
        .map(|campaign| client.raised(campaign))
        .sum()
}

fn applied(sent: &[Sent]) -> Result<usize> {
    let refused = sent.iter().filter(|one| one.status != 200).count();
    ensure!(refused == 0, "{refused} webhooks were refused");
    Ok(sent.iter().filter(|one| one.hit).count())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of requests is far below 2^52"
)]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
