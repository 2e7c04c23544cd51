//! How often the provider is asked about what it has not told, and how much of its patience that may take.

use std::time::Duration;

use chassis::env::Env;

/// The rhythm of everything that looks at the provider without being told to.
#[derive(Clone, Copy, Debug)]
pub struct Cadences {
    /// How long webhooks get to tell of a payment that can still be paid before the provider is asked about it.
    pub reconcile_after: Duration,
    /// How long after a capture its settlement is looked for.
    pub settle_after: Duration,
    /// The longest pause between two tries of a call without an answer.
    pub resolve_at_most: Duration,
    /// After how long a call without an answer becomes a matter for a person.
    pub unknown_after: Duration,
    /// How long a delivery about a payment that we do not know waits before it is judged again; doubles each time.
    pub parked_after: Duration,
    /// How long it may wait in all before it becomes a matter for a person.
    pub parked_for: Duration,
    /// How often the provider's lists are read.
    pub sweep_every: Duration,
    /// How much of what was read before is read again: a list may show an object late.
    pub sweep_overlap: Duration,
    /// How often the provider's account is matched with the books.
    pub match_every: Duration,
    /// How many requests the provider gets in a second.
    pub psp_rate: u32,
}

/// The pause before another try, after so many: the first one, doubled by every further try, up to the longest.
pub fn growing(first: chrono::Duration, tries: i32, longest: chrono::Duration) -> chrono::Duration {
    let times = 2_i32.saturating_pow(tries.clamp(1, 16).unsigned_abs() - 1);
    first.checked_mul(times).unwrap_or(longest).min(longest)
}

impl Default for Cadences {
    fn default() -> Self {
        Self {
            reconcile_after: Duration::from_mins(5),
            settle_after: Duration::from_hours(48),
            resolve_at_most: Duration::from_mins(10),
            unknown_after: Duration::from_mins(10),
            parked_after: Duration::from_secs(1),
            parked_for: Duration::from_hours(1),
            sweep_every: Duration::from_hours(1),
            sweep_overlap: Duration::from_hours(1),
            match_every: Duration::from_hours(24),
            psp_rate: 80,
        }
    }
}

impl Cadences {
    /// Reads `RECONCILE_AFTER_MS` (default 5 minutes), `SETTLE_LOOK_AFTER_MS` (2 days),
    /// `RESOLVE_AT_MOST_MS` (10 minutes), `UNKNOWN_AFTER_MS` (10 minutes), `PARKED_AFTER_MS` (1 second), `PARKED_FOR_MS` (1 hour), `SWEEP_EVERY_MS` (1 hour),
    /// `SWEEP_OVERLAP_MS` (1 hour), `MATCH_EVERY_MS` (1 day) and `PSP_RATE` (80 requests a second).
    pub fn read(env: &mut Env) -> Self {
        let usual = Self::default();
        let mut millis = |name, default: Duration| {
            let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
            Duration::from_millis(env.parsed(name, default))
        };
        Self {
            reconcile_after: millis("RECONCILE_AFTER_MS", usual.reconcile_after),
            settle_after: millis("SETTLE_LOOK_AFTER_MS", usual.settle_after),
            resolve_at_most: millis("RESOLVE_AT_MOST_MS", usual.resolve_at_most),
            unknown_after: millis("UNKNOWN_AFTER_MS", usual.unknown_after),
            parked_after: millis("PARKED_AFTER_MS", usual.parked_after),
            parked_for: millis("PARKED_FOR_MS", usual.parked_for),
            sweep_every: millis("SWEEP_EVERY_MS", usual.sweep_every),
            sweep_overlap: millis("SWEEP_OVERLAP_MS", usual.sweep_overlap),
            match_every: millis("MATCH_EVERY_MS", usual.match_every),
            psp_rate: env.parsed("PSP_RATE", usual.psp_rate).max(1),
        }
    }
}
