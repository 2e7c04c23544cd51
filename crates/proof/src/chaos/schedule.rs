//! What goes wrong, and when: drawn from a seed before anything has started.

use std::{fmt, ops::RangeInclusive, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

/// The services and simulators that may be killed or stopped. The mailbox keeps its mails in memory, and is spared.
const PROCESSES: [&str; 10] = [
    "gateway",
    "user",
    "campaign",
    "pledge",
    "pledge-2",
    "payment",
    "payment-2",
    "totals",
    "notification",
    "psp-sim",
];

/// The services with a database, as often as their connections matter to money.
const DATABASES: [&str; 6] = [
    "pledge",
    "payment",
    "payment",
    "totals",
    "totals",
    "notification",
];

/// The shortest quiet at the begin and at the end, in milliseconds.
const MARGIN: u64 = 800;

/// How long a copy takes at most, and how long it takes to go back to it.
const COPY: Duration = Duration::from_secs(2);
const RECOVERY: Duration = Duration::from_secs(20);

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process dies at once, and is started again.
    Kill,
    /// A process is stopped without being told, and goes on later.
    Freeze,
    /// PostgreSQL dies at once, and is started again.
    Postgres,
    /// Redis likewise.
    Redis,
    /// Kafka likewise.
    Kafka,
    /// The database does what it is asked, and its answer is lost.
    CutReply,
    /// The answer breaks off in the middle.
    CutMiddle,
    /// The provider sends its webhooks twice, late and in another order, loses some for good, and strangers send some as
    /// well.
    Webhooks,
    /// The provider does what we ask, and does not answer, or says that it failed.
    Silence,
    /// PostgreSQL is put back to a copy of itself that was made some time ago, and the services recover from that.
    Restore,
}

impl Kind {
    /// Every kind that is drawn. Going back to a copy is asked for: it takes the longest, and a run does it once.
    pub const ALL: [Self; 9] = [
        Self::Kill,
        Self::Freeze,
        Self::Postgres,
        Self::Redis,
        Self::Kafka,
        Self::CutReply,
        Self::CutMiddle,
        Self::Webhooks,
        Self::Silence,
    ];

    const fn weight(self) -> u32 {
        match self {
            Self::Kill => 6,
            Self::Freeze | Self::CutReply => 4,
            Self::Webhooks => 3,
            Self::Postgres | Self::Kafka | Self::CutMiddle => 2,
            Self::Redis | Self::Silence => 1,
            Self::Restore => 0,
        }
    }

    /// How long it may last, in milliseconds.
    const fn lasts(self) -> RangeInclusive<u64> {
        match self {
            Self::Kill => 100..=2500,
            Self::Freeze => 1000..=8000,
            Self::Postgres | Self::Redis => 1000..=4000,
            Self::Kafka | Self::Silence => 1000..=5000,
            Self::CutReply | Self::CutMiddle => 1000..=6000,
            Self::Webhooks => 3000..=8000,
            Self::Restore => 20_000..=20_000,
        }
    }
}

/// One fault and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// From the begin of the load.
    pub at: Duration,
    /// Until it is healed.
    pub lasts: Duration,
    /// What goes wrong.
    pub kind: Kind,
    /// With whom.
    pub target: &'static str,
    /// Where the random numbers of the fault itself begin.
    pub seed: u64,
}

impl Window {
    /// When it is healed.
    pub fn ends(&self) -> Duration {
        self.at + self.lasts
    }

    /// The body for the provider's simulator.
    pub(super) fn faults(&self) -> Value {
        if self.kind == Kind::Silence {
            return json!({ "seed": self.seed, "timeout_after": 0.3, "error_after": 0.15 });
        }
        json!({
            "seed": self.seed,
            "duplicate": 0.4,
            "reorder": 0.4,
            "delay": { "probability": 0.3, "max_ms": 1500 },
            "drop": 0.15,
            "never_generated": 0.1,
            "forge": 0.1,
            "stray": 0.1,
        })
    }

    /// Two faults of one subject would undo each other's healing.
    fn subject(&self) -> (bool, &'static str) {
        let of_connections = matches!(self.kind, Kind::CutReply | Kind::CutMiddle);
        (of_connections, self.target)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.at <= other.ends() && other.at <= self.ends()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target;
        match self.kind {
            Kind::Kill | Kind::Postgres | Kind::Redis | Kind::Kafka => write!(f, "kill {target}")?,
            Kind::Freeze => write!(f, "stop {target}")?,
            Kind::CutReply => write!(f, "lose database replies to {target}")?,
            Kind::CutMiddle => write!(f, "break database replies to {target}")?,
            Kind::Webhooks => write!(f, "webhooks twice, late, out of order, forged, lost")?,
            Kind::Silence => write!(f, "no answer from {target}")?,
            Kind::Restore => {
                let age = self.lasts.as_secs_f64();
                return write!(f, "copy {target}, and go back to the copy after {age:.1} s");
            }
        }
        write!(f, " for {:.1} s", self.lasts.as_secs_f64())
    }
}

/// The faults of a run, in the order of their begin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule(pub Vec<Window>);

impl Schedule {
    /// Draws the faults of a run of this length. The same seed, length and kinds give the same schedule, and all of it
    /// is healed before the end.
    pub fn draw(seed: u64, length: Duration, kinds: &[Kind]) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let end = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let mut windows: Vec<Window> = Vec::new();
        let mut at = MARGIN;
        while !kinds.is_empty() {
            at += random.random_range(300..=2500);
            let left = end.saturating_sub(at + MARGIN);
            if left == 0 {
                break;
            }
            // Each fault takes the same number of draws, whether or not it is left out.
            let chosen = kinds.choose_weighted(&mut random, |kind| kind.weight());
            let kind = *chosen.expect("weights are positive");
            let window = Window {
                at: Duration::from_millis(at),
                lasts: Duration::from_millis(random.random_range(kind.lasts()).min(left)),
                kind,
                target: target(kind, &mut random),
                seed: random.random(),
            };
            let in_the_way = |other: &Window| {
                window.overlaps(other)
                    && (window.subject() == other.subject()
                        || is_server(kind) && is_server(other.kind))
            };
            if !windows.iter().any(in_the_way) {
                windows.push(window);
            }
        }
        Self(windows)
    }

    /// How long a run takes at least in which PostgreSQL is put back to a copy that is this old by then.
    pub fn least_length(age: Duration) -> Duration {
        Duration::from_millis(MARGIN) + COPY + age + RECOVERY
    }

    /// Once, PostgreSQL is put back to a copy that is this old by then. While it is copied, and while the services recover,
    /// nothing else goes wrong.
    #[must_use]
    pub fn with_restore(mut self, seed: u64, length: Duration, age: Duration) -> Self {
        // A draw of its own: what else the seed gives stays as it was.
        let mut random = StdRng::seed_from_u64(!seed);
        let first = Duration::from_millis(MARGIN);
        let last = length.saturating_sub(age + RECOVERY).max(first);
        let window = Window {
            at: random.random_range(first..=last),
            lasts: age,
            kind: Kind::Restore,
            target: target(Kind::Restore, &mut random),
            seed: random.random(),
        };
        let quiet = [(window.at, COPY), (window.ends(), RECOVERY)];
        self.0.retain(|other| {
            quiet
                .iter()
                .all(|(from, lasts)| other.ends() < *from || other.at > *from + *lasts)
        });
        self.0.push(window);
        self.0.sort_by_key(|window| window.at);
        self
    }
}

/// Of PostgreSQL, Redis and Kafka one is away at a time: with two of them gone there is nothing left to observe.
const fn is_server(kind: Kind) -> bool {
    matches!(kind, Kind::Postgres | Kind::Redis | Kind::Kafka)
}

fn target(kind: Kind, random: &mut StdRng) -> &'static str {
    let process = *PROCESSES.choose(random).expect("there are some");
    let database = *DATABASES.choose(random).expect("there are some");
    match kind {
        Kind::Kill | Kind::Freeze => process,
        Kind::Postgres | Kind::Restore => "postgres",
        Kind::Redis => "redis",
        Kind::Kafka => "kafka",
        Kind::CutReply | Kind::CutMiddle => database,
        Kind::Webhooks | Kind::Silence => "the provider",
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for window in &self.0 {
            writeln!(f, "  {:5.1} s  {window}", window.at.as_secs_f64())?;
        }
        Ok(())
    }
}
