//! What an audit has found.

use std::fmt;
use std::time::Duration;

/// How many offending ids are printed per finding.
const SHOWN: usize = 20;

/// Something that does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Of the payments, pledges, campaigns, events or lines concerned.
    pub ids: Vec<String>,
    /// What is wrong with them.
    pub what: String,
}

impl Finding {
    /// What is wrong with these; nothing where there are none.
    pub(super) fn of(what: &str, ids: Vec<String>) -> Option<Self> {
        let what = what.to_owned();
        (!ids.is_empty()).then_some(Self { ids, what })
    }
}

/// One invariant, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its name, such as `I3`.
    pub invariant: &'static str,
    /// What it promises.
    pub promise: &'static str,
    /// What was compared with what, and how many rows.
    pub compared: String,
    /// What does not agree; empty where it holds.
    pub findings: Vec<Finding>,
    /// Why it was not examined.
    pub skipped: Option<String>,
}

impl Verdict {
    /// An invariant of which nothing is known yet.
    pub(super) fn new(invariant: &'static str, promise: &'static str) -> Self {
        Self {
            invariant,
            promise,
            compared: String::new(),
            findings: Vec::new(),
            skipped: None,
        }
    }

    /// The place of its invariant among all.
    pub(super) fn number(&self) -> u32 {
        let digits = self.invariant.trim_start_matches('I');
        digits.parse().unwrap_or_default()
    }

    /// Says what was compared.
    pub(super) fn compared(mut self, what: String) -> Self {
        self.compared = what;
        self
    }

    /// Says why nothing was compared.
    pub(super) fn skipped(mut self, why: &str) -> Self {
        self.skipped = Some(why.to_owned());
        self
    }
}

impl Extend<Finding> for Verdict {
    fn extend<I: IntoIterator<Item = Finding>>(&mut self, findings: I) {
        self.findings.extend(findings);
    }
}

/// The verdicts of one audit, by invariant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One per invariant, in order.
    pub verdicts: Vec<Verdict>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Whether nothing was found; what was skipped does not count.
    pub fn holds(&self) -> bool {
        self.broken().is_empty()
    }

    /// The invariants that do not hold, in order.
    pub fn broken(&self) -> Vec<&str> {
        let broken = self.verdicts.iter().filter(|one| !one.findings.is_empty());
        broken.map(|one| one.invariant).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (&self.skipped, self.findings.is_empty()) {
            (_, false) => "BROKEN",
            (Some(_), true) => "skipped",
            (None, true) => "holds",
        };
        let compared = self.skipped.as_ref().unwrap_or(&self.compared);
        let Self {
            invariant, promise, ..
        } = self;
        write!(f, "{invariant:<4}{state:<8} {promise}: {compared}")?;
        for Finding { ids, what } in &self.findings {
            write!(f, "\n      {what} ({}): ", ids.len())?;
            let shown = &ids[..ids.len().min(SHOWN)];
            write!(f, "{}", shown.join(", "))?;
            if ids.len() > SHOWN {
                write!(f, ", and {} more", ids.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for verdict in &self.verdicts {
            writeln!(f, "{verdict}")?;
        }
        let took = self.took.as_secs_f64();
        match self.broken().as_slice() {
            [] => write!(f, "everything agrees ({took:.1} s)"),
            broken => write!(f, "BROKEN {} ({took:.1} s)", broken.join(", ")),
        }
    }
}
