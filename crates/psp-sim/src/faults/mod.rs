//! Misbehaviour on request, drawn from a seed so that the same run can be had again.

mod chance;
mod mishaps;
mod plan;

use serde::{Deserialize, Serialize};

use chance::{Chance, Die};
pub(crate) use mishaps::{Mishap, Mishaps};
pub(crate) use plan::{Fate, Plan};

/// What goes wrong, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Faults {
    /// Where the draws begin; by default the simulator's own seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    /// An event is sent twice at the same time.
    #[serde(default)]
    pub(crate) duplicate: Chance,
    /// An event is sent after the next one of the same intent, or after half a second when none comes.
    #[serde(default)]
    pub(crate) reorder: Chance,
    /// An event is sent late.
    #[serde(default)]
    pub(crate) delay: Delay,
    /// An event is never sent, and can only be listed.
    #[serde(default, skip_serializing_if = "Chance::is_none")]
    pub(crate) drop: Chance,
    /// An event does not come about at all.
    #[serde(default, skip_serializing_if = "Chance::is_none")]
    pub(crate) never_generated: Chance,
    /// A stranger sends something like this event that is signed with a secret of their own.
    #[serde(default, skip_serializing_if = "Chance::is_none")]
    pub(crate) forge: Chance,
    /// A well signed event arrives, like this one, about an intent that nobody knows.
    #[serde(default, skip_serializing_if = "Chance::is_none")]
    pub(crate) stray: Chance,
    /// A call of the merchant has its effect and is never answered.
    #[serde(default, skip_serializing_if = "Chance::is_none")]
    pub(crate) timeout_after: Chance,
    /// A call of the merchant has its effect and is answered with 500, for good under its idempotency key.
    #[serde(default, skip_serializing_if = "Chance::is_none")]
    pub(crate) error_after: Chance,
}

/// How often and how long events are held back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delay {
    pub(crate) probability: f64,
    pub(crate) max_ms: u64,
    /// How many times it happens at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
}

impl Faults {
    /// Reads a request's JSON.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let faults: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let chances = [
            &faults.duplicate,
            &faults.reorder,
            &faults.drop,
            &faults.never_generated,
            &faults.forge,
            &faults.stray,
            &faults.timeout_after,
            &faults.error_after,
        ];
        let probabilities = chances.map(|chance| chance.probability).into_iter();
        let mut all = probabilities.chain([faults.delay.probability]);
        if all.any(|probability| !(0.0..=1.0).contains(&probability)) {
            return Err("a probability lies between 0 and 1".to_owned());
        }
        Ok(faults)
    }

    /// A die of its own for one of the faults, so that no fault's draws shift another's.
    fn die(&self, chance: &Chance, number: u64, default_seed: u64) -> Die {
        let seed = self.seed.unwrap_or(default_seed).rotate_left(17) ^ number;
        Die::new(chance, seed)
    }
}
