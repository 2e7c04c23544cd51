//! What donors and operators asked for and were told: the journal that the audit compares with the data.
//!
//! One JSON object per line and per try. A try without an answer, or with one that says "again later", is `unknown`:
//! it may have had its effect. The client repeats it under the same key, as a real one does, and so a key may have
//! several lines; [`read`] folds them to what the client knows in the end.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `POST /api/pledges`.
    Pledge,
    /// `POST /api/payments`.
    Payment,
    /// The donor's card, at the provider.
    Confirm,
    /// A card whose owner is asked first; taking it moves no money yet.
    Challenge,
    /// A card whose money is only held, for a campaign that takes it later.
    Hold,
    /// `POST /api/pledges/{id}/cancel`.
    Cancel,
    /// `POST /api/payments/{id}/refunds`, by the operator.
    Refund,
    /// `POST /api/admin/payments/{id}/capture`, by the operator.
    Capture,
    /// `POST /api/admin/payments/{id}/void`, by the operator.
    Void,
    /// `POST /api/campaigns/{id}/cancel`, by the operator.
    CallOff,
    /// `POST /api/admin/totals/rebuild`, by the operator.
    Rebuild,
    /// `PUT /api/admin/payments/charging`, by the operator.
    Switch,
    /// `POST /api/admin/reconciliation/runs`, by the operator.
    Match,
    /// A page or a state that somebody reads; nothing comes of it.
    Look,
}

impl Kind {
    /// All of them: first as a gift goes through them, then what operators do, and what everybody reads.
    pub const ALL: [Self; 14] = [
        Self::Pledge,
        Self::Payment,
        Self::Confirm,
        Self::Challenge,
        Self::Hold,
        Self::Cancel,
        Self::Refund,
        Self::Capture,
        Self::Void,
        Self::CallOff,
        Self::Rebuild,
        Self::Switch,
        Self::Match,
        Self::Look,
    ];

    /// Whether the platform is asked, and not the provider.
    pub const fn is_asked_of_us(self) -> bool {
        !matches!(self, Self::Confirm | Self::Challenge | Self::Hold)
    }
}

/// What the client learnt from one try, or from all tries of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was acknowledged: it is done, once, and stays done.
    Ok,
    /// It was refused: it is not done.
    Fail,
    /// Nobody told: it may be done.
    Unknown,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The operation, counted from 1; its tries share it.
    pub op: u64,
    /// The idempotency key, made before the first try.
    pub key: Uuid,
    /// What was asked for.
    pub kind: Kind,
    /// When the try was sent, in Unix milliseconds.
    pub sent_at: i64,
    /// What came of it.
    pub outcome: Outcome,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The stable code of a refusal; of the provider's refusals theirs.
    pub code: Option<String>,
    /// For which campaign; nil where it is about all.
    pub campaign_id: Uuid,
    /// The gift, in minor units; of a refund what goes back, of a capture the part to take, or 0 for all that is held.
    pub amount: i64,
    /// Its currency.
    pub currency: String,
    /// Who gives, if anybody. A made-up address that no other gift has.
    pub email: String,
    /// The pledge; of a pledge's own tries only once it is acknowledged.
    pub pledge_id: Option<Uuid>,
    /// The payment, likewise.
    pub payment_id: Option<Uuid>,
    /// Of a confirmation the provider's intent, of an acknowledged refund, rebuild or matching its own id.
    pub intent: Option<String>,
    /// Of a pledge whose donor showed the guest token of an earlier one, and did not say that both are meant: that one.
    pub after: Option<Uuid>,
    /// Method and path.
    #[serde(default)]
    pub route: String,
    /// The trace that the answer named, if it named one.
    pub trace_id: Option<String>,
}

impl Entry {
    /// Whether the answer is a mistake of the platform's: a 5xx, except those that say that something is away, or has no
    /// time. What the platform's description does not have is one of these: a debug build answers 500 in its place.
    pub fn is_our_mistake(&self) -> bool {
        let is_mistake = |status| status >= 500 && !matches!(status, 502..=504);
        self.kind.is_asked_of_us() && self.status.is_some_and(is_mistake)
    }
}

/// The journal of a run.
#[derive(Debug)]
pub struct Journal(Mutex<File>);

impl Journal {
    /// Begins an empty journal, in place of one that may lie there.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut options = OpenOptions::new();
        let file = options.create(true).write(true).truncate(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(Mutex::new(file)))
    }

    /// Adds a line. The journal has to survive the services and not this process, so the disk is not waited for.
    ///
    /// # Errors
    /// When the line cannot be written: a run whose journal has holes proves nothing.
    pub fn add(&self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).context("cannot write the journal")
    }
}

/// Reads a journal: one entry for each key, in the order of their operations.
///
/// A key whose try was acknowledged is `ok`, with the ids of that try; one whose tries were all refused is `fail`;
/// any other is `unknown`, because a try without an answer may have had its effect after all.
///
/// # Errors
/// When the file cannot be read, or a line is no entry.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    Ok(folded(tries(path)?))
}

/// Reads a journal: every try, in the order in which their answers came.
///
/// # Errors
/// When the file cannot be read, or a line is no entry.
pub fn tries(path: &Path) -> Result<Vec<Entry>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = BufReader::new(file).lines().enumerate();
    lines
        .map(|(number, line)| {
            serde_json::from_str(&line?)
                .with_context(|| format!("line {} of {}", number + 1, path.display()))
        })
        .collect()
}

/// What clients know in the end, as [`read`] gives it.
pub fn folded(tries: Vec<Entry>) -> Vec<Entry> {
    let mut known: BTreeMap<(u64, Uuid), Entry> = BTreeMap::new();
    for entry in tries {
        let folded = match known.remove(&(entry.op, entry.key)) {
            Some(earlier) => fold(earlier, entry),
            None => entry,
        };
        known.insert((folded.op, folded.key), folded);
    }
    known.into_values().collect()
}

fn fold(earlier: Entry, later: Entry) -> Entry {
    use Outcome::{Fail, Ok, Unknown};
    match (earlier.outcome, later.outcome) {
        (Ok, _) => earlier,
        (_, Ok) | (Fail, Fail) | (Unknown, Unknown) => later,
        (Fail, Unknown) | (Unknown, Fail) => Entry {
            outcome: Unknown,
            ..later
        },
    }
}
