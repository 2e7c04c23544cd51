//! From a gift's capture until it is in the total, as any client sees it: one reader asks for the totals again and again
//! while the gifts are given. Gifts of one campaign are counted in some order, so the n-th that was captured is taken
//! for the n-th in the total.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::client::Client;
use super::latency::Latency;
use crate::fleet::state::State;
use crate::interrupt;

/// How often the totals are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// The longest that the totals may take to come right after the last gift.
const PATIENCE: Duration = Duration::from_mins(1);

/// Gifts of one amount to some campaigns.
pub(super) struct Gifts {
    began: Instant,
    over: AtomicBool,
    /// When each was captured, by campaign, counted from the beginning.
    captured: Vec<Mutex<Vec<Duration>>>,
}

impl Gifts {
    /// Notes a capture, now.
    pub(super) fn captured(&self, campaign: usize) {
        self.captured_at(campaign, self.began.elapsed());
    }

    /// Notes a capture.
    pub(super) fn captured_at(&self, campaign: usize, at: Duration) {
        let mut times = self.of(campaign);
        times.push(at);
    }

    fn of(&self, campaign: usize) -> MutexGuard<'_, Vec<Duration>> {
        let times = self.captured[campaign].lock();
        times.unwrap_or_else(|_| unreachable!("nobody panics while a time is noted"))
    }
}

/// How long gifts took into the totals, and when the last was in them, counted from the beginning.
pub(super) struct Seen {
    /// From capture to total.
    pub(super) to_total: Latency,
    /// The last one.
    pub(super) last: Duration,
}

/// Has `work` give gifts of this many minor units to these campaigns, and watches their totals meanwhile. The clock
/// runs from the call.
pub(super) fn during<T>(
    fleet: &State,
    campaigns: &[String],
    amount: i64,
    work: impl FnOnce(&Gifts) -> Result<T>,
) -> Result<(T, Seen)> {
    let before = Client::new(fleet).all_raised(campaigns)?;
    let gifts = Gifts {
        began: Instant::now(),
        over: AtomicBool::new(false),
        captured: campaigns.iter().map(|_| Mutex::default()).collect(),
    };
    let (done, seen) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| watch(&Client::new(fleet), campaigns, &before, amount, &gifts));
        let done = work(&gifts);
        gifts.over.store(true, Ordering::Release);
        (done, watch.join())
    });
    let done = done?;
    let seen = seen.map_err(|_| anyhow::anyhow!("the watch on the totals panicked"))??;
    let mut times = Vec::new();
    for (campaign, seen) in seen.iter().enumerate() {
        let mut captured = gifts.of(campaign);
        captured.sort_unstable();
        let pairs = captured.iter().zip(seen);
        times.extend(pairs.map(|(captured, seen)| seen.saturating_sub(*captured)));
    }
    let last = seen.iter().flatten().max().copied().unwrap_or_default();
    let to_total = Latency::of(times).context("no gift was given")?;
    Ok((done, Seen { to_total, last }))
}

/// When each campaign's total first held one gift, two gifts, and so on, until it holds all that were captured.
fn watch(
    client: &Client,
    campaigns: &[String],
    before: &[i64],
    amount: i64,
    gifts: &Gifts,
) -> Result<Vec<Vec<Duration>>> {
    let mut seen = vec![Vec::new(); campaigns.len()];
    let mut deadline = None;
    loop {
        let over = gifts.over.load(Ordering::Acquire);
        let raised = client.all_raised(campaigns)?;
        let now = gifts.began.elapsed();
        for ((seen, raised), before) in seen.iter_mut().zip(raised).zip(before) {
            let count = usize::try_from((raised - before) / amount)?;
            seen.resize(count.max(seen.len()), now);
        }
        if over {
            let counts = seen.iter().enumerate();
            let mut open = counts.map(|(campaign, seen)| (gifts.of(campaign).len(), seen.len()));
            let Some((given, counted)) = open.find(|(given, counted)| given != counted) else {
                return Ok(seen);
            };
            ensure!(
                counted < given,
                "{given} gifts were given, but the total holds {counted}"
            );
            let deadline = *deadline.get_or_insert(now + PATIENCE);
            ensure!(
                now < deadline,
                "of {given} gifts the total held only {counted}"
            );
        }
        interrupt::check()?;
        std::thread::sleep(LOOK);
    }
}
