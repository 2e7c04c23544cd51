//! What is due when: one row of arrivals that several threads take from.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::interrupt;

/// Arrivals that are due one after the other. Late ones go at once.
pub(super) struct Arrivals {
    turn: AtomicUsize,
    count: usize,
    began: Instant,
    rate: Option<u32>,
}

impl Arrivals {
    /// So many from now on, so many a second; without a rate, as soon as somebody is free.
    pub(super) fn begin(count: usize, rate: Option<u32>) -> Self {
        Self {
            turn: AtomicUsize::new(0),
            count,
            began: Instant::now(),
            rate,
        }
    }

    /// How long ago they began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for the next arrival, and gives its number and when it was due: now, where there is no rate. Nothing, once
    /// all have come.
    pub(super) fn next(&self) -> Result<Option<(usize, Instant)>> {
        let n = self.turn.fetch_add(1, Ordering::Relaxed);
        if n >= self.count {
            return Ok(None);
        }
        interrupt::check()?;
        let Some(rate) = self.rate else {
            return Ok(Some((n, Instant::now())));
        };
        let due = self.began + Duration::from_secs(1) * u32::try_from(n)? / rate;
        sleep(due.saturating_duration_since(Instant::now()));
        Ok(Some((n, due)))
    }
}
