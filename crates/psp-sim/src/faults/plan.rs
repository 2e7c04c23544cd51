use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    Faults,
    chance::{Chance, Die, Limit},
};

/// What happens to one event on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) duplicate: bool,
    pub(crate) reorder: bool,
    pub(crate) delay: Duration,
    pub(crate) drop: bool,
    pub(crate) beside: Beside,
}

/// What else is sent with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) forged: bool,
    pub(crate) stray: bool,
}

/// The faults of the webhooks, and the random numbers that decide them.
pub(crate) struct Plan {
    faults: Faults,
    random: StdRng,
    duplicate: Limit,
    reorder: Limit,
    delay: Limit,
    drop: Die,
    forge: Die,
    stray: Die,
}

impl Plan {
    pub(crate) fn new(faults: Faults, default_seed: u64) -> Self {
        let delay = Chance {
            probability: faults.delay.probability,
            count: faults.delay.count,
            only: Vec::new(),
        };
        Self {
            random: StdRng::seed_from_u64(faults.seed.unwrap_or(default_seed)),
            duplicate: Limit::of(&faults.duplicate),
            reorder: Limit::of(&faults.reorder),
            delay: Limit::of(&delay),
            drop: faults.die(&faults.drop, 1, default_seed),
            forge: faults.die(&faults.forge, 2, default_seed),
            stray: faults.die(&faults.stray, 3, default_seed),
            faults,
        }
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Decides about the next event. Every event takes the same number of draws, whatever they decide, so that
    /// one fault's probability does not shift another's decisions.
    pub(crate) fn next(&mut self, name: &str) -> Fate {
        let duplicate = self.duplicate.befalls(self.random.random(), name);
        let reorder = self.reorder.befalls(self.random.random(), name);
        let late = self.delay.befalls(self.random.random(), name);
        let share = self.random.random::<f64>();
        let longest = Duration::from_millis(self.faults.delay.max_ms);
        let delay = if late {
            longest.mul_f64(share)
        } else {
            Duration::ZERO
        };
        Fate {
            duplicate,
            reorder,
            delay,
            drop: self.drop.roll(name),
            beside: Beside {
                forged: self.forge.roll(name),
                stray: self.stray.roll(name),
            },
        }
    }
}
