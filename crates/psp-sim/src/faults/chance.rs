use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize, Serializer};

/// How often something goes wrong: a bare number is its probability.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Wording")]
pub(crate) struct Chance {
    /// From 0 to 1.
    pub(crate) probability: f64,
    /// How many times it happens at most.
    pub(crate) count: Option<u64>,
    /// The types of the events, or the ends of the paths, that it befalls; empty means all.
    pub(crate) only: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wording {
    Number(f64),
    Whole(Whole),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    probability: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    only: Vec<String>,
}

impl From<Wording> for Chance {
    fn from(wording: Wording) -> Self {
        match wording {
            Wording::Number(probability) => Self {
                probability,
                ..Self::default()
            },
            Wording::Whole(whole) => Self {
                probability: whole.probability,
                count: whole.count,
                only: whole.only,
            },
        }
    }
}

impl Serialize for Chance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.count.is_none() && self.only.is_empty() {
            return serializer.serialize_f64(self.probability);
        }
        let whole = Whole {
            probability: self.probability,
            count: self.count,
            only: self.only.clone(),
        };
        whole.serialize(serializer)
    }
}

impl Chance {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Whom a fault may befall, and how often still.
pub(crate) struct Limit {
    chance: Chance,
    left: u64,
}

impl Limit {
    pub(crate) fn of(chance: &Chance) -> Self {
        Self {
            left: chance.count.unwrap_or(u64::MAX),
            chance: chance.clone(),
        }
    }

    /// Decides by a number that was drawn from 0 to 1 whether it befalls `what`.
    pub(crate) fn befalls(&mut self, drawn: f64, what: &str) -> bool {
        let Chance {
            probability, only, ..
        } = &self.chance;
        let meant = only.is_empty() || only.iter().any(|end| what.ends_with(end));
        let befalls = meant && self.left > 0 && drawn < *probability;
        self.left -= u64::from(befalls);
        befalls
    }
}

/// One fault's own random numbers.
pub(crate) struct Die {
    random: StdRng,
    limit: Limit,
}

impl Die {
    pub(super) fn new(chance: &Chance, seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            limit: Limit::of(chance),
        }
    }

    /// Whether the fault befalls `what`.
    pub(crate) fn roll(&mut self, what: &str) -> bool {
        let drawn = self.random.random();
        self.limit.befalls(drawn, what)
    }
}
