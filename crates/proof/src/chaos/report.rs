//! What became of a run.

use std::fmt;

use super::enough::is_enough;
use crate::{
    audit::Report,
    journal::{Entry, Kind, Outcome as Told},
};

/// What clients saw of one kind of operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Operations that were acknowledged.
    pub acknowledged: usize,
    /// Operations that were refused.
    pub refused: usize,
    /// Operations that were never answered.
    pub unknown: usize,
}

impl Seen {
    /// Counts the operations of a kind.
    pub fn of(kind: Kind, entries: &[Entry]) -> Self {
        let count = |told: Told| {
            let entries = entries.iter();
            entries
                .filter(|entry| entry.kind == kind && entry.outcome == told)
                .count()
        };
        Self {
            acknowledged: count(Told::Ok),
            refused: count(Told::Fail),
            unknown: count(Told::Unknown),
        }
    }
}

/// A run that came to its end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed that it was run with.
    pub seed: u64,
    /// What clients saw.
    pub seen: [(Kind, Seen); Kind::ALL.len()],
    /// Processes that ended without being asked to.
    pub deaths: Vec<String>,
    /// What the audit found. What clients noticed by themselves is in it, and so is what did not come to rest.
    pub report: Report,
}

impl Outcome {
    /// Whether every promise was kept.
    pub fn held(&self) -> bool {
        self.report.holds()
    }

    /// Whether enough was acknowledged for the verdict to mean anything.
    pub(super) fn proves(&self) -> bool {
        is_enough(|kind| {
            let of_kind = self.seen.iter().filter(|(seen, _)| *seen == kind);
            of_kind.map(|(_, seen)| seen.acknowledged).sum()
        })
    }

    /// The last line of the run.
    pub fn verdict(&self) -> String {
        let seed = self.seed;
        match self.report.broken().as_slice() {
            [] => format!("chaos seed {seed}: held"),
            broken => format!("chaos seed {seed}: BROKEN {}", broken.join(", ")),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat clients saw:")?;
        for (kind, seen) in &self.seen {
            let what = match kind {
                Kind::Pledge => "pledges",
                Kind::Payment => "payments opened",
                Kind::Confirm => "cards",
                Kind::Challenge => "asking cards",
                Kind::Hold => "held cards",
                Kind::Cancel => "cancellations",
                Kind::Refund => "refunds",
                Kind::Capture => "captures",
                Kind::Void => "holds let go",
                Kind::CallOff => "campaigns called off",
                Kind::Rebuild => "rebuilds",
            };
            let Seen {
                acknowledged,
                refused,
                unknown,
            } = seen;
            writeln!(
                f,
                "  {what:<20} {acknowledged} acknowledged, {refused} refused, {unknown} unknown"
            )?;
        }
        for death in &self.deaths {
            writeln!(f, "  {death}, and was started again")?;
        }
        write!(f, "\n{}\n\n{}", self.report, self.verdict())
    }
}
