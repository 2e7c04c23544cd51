//! Whole donations, back to back: pledge, payment, charge, webhooks, until the total holds them all.

use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::Settings;
use super::client::{Client, Paid};
use super::lag;
use super::latency::Latency;
use crate::fleet::state::State;
use crate::interrupt;

/// The longest that the total may take to come right.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the fleet takes of whole donations.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Donations {
    /// How many the provider charged.
    pub count: usize,
    /// How many were refused before there was anything to charge.
    pub refused: usize,
    /// From the first request until the total held all of them, in seconds.
    pub seconds: f64,
    /// How much of that was after the last charge, in seconds.
    pub settling: f64,
    /// Donations per second, over all of it.
    pub per_second: f64,
    /// The greatest age of a fact that waited to be published meanwhile, in seconds.
    pub outbox_lag: f64,
    /// From the pledge to the provider's reply.
    pub donor: Latency,
}

/// Has the whole crowd donate at once, then waits for the exact total.
pub fn drive(fleet: &State, settings: &Settings) -> Result<Donations> {
    let watch = Client::new(fleet);
    let before = watch.raised(&fleet.campaign_id)?;
    let began = Instant::now();
    let until = began + Duration::from_secs(settings.seconds);
    let (tried, outbox_lag) = lag::during(fleet, || {
        std::thread::scope(|scope| {
            let donors: Vec<_> = (0..settings.crowd)
                .map(|_| scope.spawn(|| donate_until(fleet, until)))
                .collect();
            join(donors)
        })
    })?;
    let ended = Instant::now();
    let paid: Vec<Paid> = tried.iter().flatten().copied().collect();
    let expected = before + paid.iter().map(|paid| paid.amount).sum::<i64>();
    let exact = interrupt::poll(PATIENCE, || {
        Ok((watch.raised(&fleet.campaign_id)? == expected).then_some(()))
    })?;
    if exact.is_none() {
        let now = watch.raised(&fleet.campaign_id)?;
        bail!("the total is {now}, but what was charged makes it {expected}");
    }
    let seconds = began.elapsed().as_secs_f64();
    let donor = paid
        .iter()
        .map(|paid| paid.confirmed - paid.began)
        .collect();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of donations is far below 2^52"
    )]
    let per_second = paid.len() as f64 / seconds;
    Ok(Donations {
        count: paid.len(),
        refused: tried.len() - paid.len(),
        seconds,
        settling: ended.elapsed().as_secs_f64(),
        per_second,
        outbox_lag,
        donor: Latency::of(donor).context("no donation came through")?,
    })
}

fn donate_until(fleet: &State, until: Instant) -> Result<Vec<Option<Paid>>> {
    let client = Client::new(fleet);
    let mut tried = Vec::new();
    while Instant::now() < until {
        interrupt::check()?;
        let amount = 500 + 100 * i64::try_from(tried.len() % 50)?;
        tried.push(client.donate(&fleet.campaign_id, amount)?);
    }
    Ok(tried)
}

/// What the threads came to, all together; a panic becomes an error.
pub(super) fn join<T>(threads: Vec<ScopedJoinHandle<'_, Result<Vec<T>>>>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for thread in threads {
        let part = thread.join();
        all.append(&mut part.unwrap_or_else(|_| bail!("a thread of the load generator panicked"))?);
    }
    Ok(all)
}
