//! The most webhooks that are applied, and how soon a campaign that everybody gives to shows it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::Settings;
use super::client::Client;
use super::latency::Latency;
use super::signed::{self, AMOUNT};
use super::watch;
use super::wire::{self, Pace, Sent};
use crate::fleet::state::State;
use crate::interrupt;

/// The longest that the totals may take to come right.
const PATIENCE: Duration = Duration::from_mins(1);
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
    settings: &Settings,
) -> Result<Webhooks> {
    let count = settings.webhooks;
    let client = Client::new(fleet);
    let raised = || Ok::<i64, anyhow::Error>(client.all_raised(campaigns)?.iter().sum());
    let before = raised()?;
    let (requests, silence) = signed::prepare(fleet, run_dir, campaigns, count)?;
    let pace = Pace {
        authority: wire::authority(&fleet.gateway),
        connections: settings.crowd,
        count,
        rate: None,
        hit: APPLIED,
    };
    let sent = wire::drive(pace, |n| requests[n].clone())?;
    let answered = Instant::now();
    let expected = before + AMOUNT * i64::try_from(count)?;
    let right = interrupt::poll(PATIENCE, || Ok((raised()? == expected).then_some(())))?;
    right.context("the totals do not hold what the webhooks told")?;
    let settling = answered.elapsed().as_secs_f64();
    silence.end()?;
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
    let count = usize::try_from(u64::from(per_second) * seconds)?;
    let campaigns = std::slice::from_ref(campaign);
    let (requests, silence) = signed::prepare(fleet, run_dir, campaigns, count)?;
    let pace = Pace {
        authority: wire::authority(&fleet.gateway),
        connections: 32,
        count,
        rate: Some(per_second),
        hit: APPLIED,
    };
    let (sent, seen) = watch::during(fleet, campaigns, AMOUNT, |gifts| {
        let sent = wire::drive(pace, |n| requests[n].clone())?;
        for one in &sent {
            gifts.captured_at(0, one.at);
        }
        Ok(sent)
    })?;
    silence.end()?;
    ensure!(
        applied(&sent)? == count,
        "not every webhook moved its payment"
    );
    Ok(Viral {
        count,
        rate: per_second,
        per_second: rate(count, seen.last),
        to_total: seen.to_total,
    })
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
