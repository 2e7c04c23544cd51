//! Misbehaviour on request, drawn from a seed so that the same run can be had again.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// What goes wrong, and how often. Probabilities are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Faults {
    /// Where the draws begin; by default the simulator's own seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    /// An event is sent twice at the same time.
    #[serde(default)]
    pub(crate) duplicate: f64,
    /// An event is sent after the next one of the same intent, or after half a second when none comes.
    #[serde(default)]
    pub(crate) reorder: f64,
    /// An event is sent late.
    #[serde(default)]
    pub(crate) delay: Delay,
}

/// How often and how long events are held back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delay {
    pub(crate) probability: f64,
    pub(crate) max_ms: u64,
}

impl Faults {
    /// Reads a request's JSON.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let faults: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let probabilities = [faults.duplicate, faults.reorder, faults.delay.probability];
        if probabilities
            .iter()
            .any(|probability| !(0.0..=1.0).contains(probability))
        {
            return Err("a probability lies between 0 and 1".to_owned());
        }
        Ok(faults)
    }
}

/// What happens to one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) duplicate: bool,
    pub(crate) reorder: bool,
    pub(crate) delay: Duration,
}

/// The faults in force, and the random numbers that decide them.
pub(crate) struct Plan {
    faults: Faults,
    random: StdRng,
}

impl Plan {
    pub(crate) fn new(faults: Faults, default_seed: u64) -> Self {
        let random = StdRng::seed_from_u64(faults.seed.unwrap_or(default_seed));
        Self { faults, random }
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Decides about the next event. Every event takes the same number of draws, whatever they decide, so that
    /// one fault's probability does not shift another's decisions.
    pub(crate) fn next(&mut self) -> Fate {
        let duplicate = self.random.random::<f64>() < self.faults.duplicate;
        let reorder = self.random.random::<f64>() < self.faults.reorder;
        let late = self.random.random::<f64>() < self.faults.delay.probability;
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
        }
    }
}
