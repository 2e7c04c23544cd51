//! What became of a run.

use std::{collections::BTreeSet, fmt};

use super::{deaths::Death, enough::is_enough, matching::Matched};
use crate::{
    audit::{Finding, Report},
    journal::{self, Entry, Kind, Outcome as Told},
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
    /// Who was told that charging was paused.
    pub paused: Paused,
    /// Processes that ended without being asked to.
    pub deaths: Vec<Death>,
    /// What came of matching the provider's account with the books.
    pub matched: Matched,
    /// What the audit found. What clients noticed by themselves is in it, and so are what did not come to rest, and processes
    /// that ended without being asked to.
    pub report: Report,
}

/// Who was told that charging was paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paused {
    /// Operations that were put off.
    pub put_off: usize,
    /// Those of them that were acknowledged in the end.
    pub came_back: usize,
}

impl Outcome {
    /// What became of a run in which clients made these tries.
    pub fn new(seed: u64, tries: Vec<Entry>, deaths: Vec<Death>, mut report: Report) -> Self {
        let unexcused = deaths.iter().filter(|death| death.excuse.is_none());
        let unexcused = unexcused.map(ToString::to_string).collect();
        add(
            &mut report,
            "I12",
            "processes that ended by themselves",
            unexcused,
        );
        let is_put_off = |entry: &&Entry| entry.code.as_deref() == Some("charging_paused");
        let put_off: BTreeSet<u64> = tries
            .iter()
            .filter(is_put_off)
            .map(|entry| entry.op)
            .collect();
        let entries = journal::folded(tries);
        let came_back = |entry: &&Entry| entry.outcome == Told::Ok && put_off.contains(&entry.op);
        Self {
            seed,
            seen: Kind::ALL.map(|kind| (kind, Seen::of(kind, &entries))),
            paused: Paused {
                put_off: put_off.len(),
                came_back: entries.iter().filter(came_back).count(),
            },
            deaths,
            matched: Matched::default(),
            report,
        }
    }

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
                Kind::Switch => "switches turned",
                Kind::Match => "matchings",
                Kind::Look => "pages read",
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
        let Paused { put_off, came_back } = self.paused;
        writeln!(
            f,
            "  while charging was paused {put_off} were put off, of whom {came_back} came back and were acknowledged"
        )?;
        writeln!(f, "\n{}", self.matched)?;
        for death in &self.deaths {
            writeln!(f, "{death}")?;
        }
        write!(f, "\n{}\n\n{}", self.report, self.verdict())
    }
}

/// Adds to an invariant what the audit cannot see.
pub(super) fn add(report: &mut Report, invariant: &str, what: &str, ids: Vec<String>) {
    let verdict = report
        .verdicts
        .iter_mut()
        .find(|one| one.invariant == invariant);
    if let Some(verdict) = verdict.filter(|_| !ids.is_empty()) {
        verdict.findings.push(Finding {
            ids,
            what: what.to_owned(),
        });
    }
}
