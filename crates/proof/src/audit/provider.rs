//! The provider's own ledger: a file to which its simulator appends a line for each fact before it answers.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};
use foldhash::HashMap;
use serde::Deserialize;
use uuid::Uuid;

use super::bench::Bench;

/// What tells that the money of an intent was taken.
const TAKEN: &str = "payment_intent.succeeded";

/// How much was read, and what the ledger tells by itself.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Lines of the file.
    pub(super) lines: u64,
    /// Intents.
    pub(super) intents: usize,
    /// Refunds.
    pub(super) refunds: usize,
    /// Disputes.
    pub(super) disputes: usize,
    /// Events that we acknowledged.
    pub(super) acked: usize,
    /// Payments of ours with more than one intent.
    pub(super) opened_twice: Vec<String>,
    /// Pledges of ours of which more than one intent has taken money that was not given back.
    pub(super) charged_twice: Vec<String>,
}

/// Lays the ledger out on the bench.
pub(super) async fn lay_out(bench: &mut Bench, path: &Path) -> Result<Ledger> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read(&path));
    let said = read.await??;
    let intents = || said.intents.values();
    let kept = |one: &&Intent| one.taken > sum(&one.refunds, "succeeded");
    let ledger = Ledger {
        lines: said.lines,
        intents: said.intents.len(),
        refunds: intents().map(|one| one.refunds.len()).sum(),
        disputes: intents().map(|one| one.disputes.len()).sum(),
        acked: said.acked.len(),
        opened_twice: twice(intents().filter_map(|one| one.payment_id)),
        charged_twice: twice(intents().filter(kept).filter_map(|one| one.pledge_id)),
    };
    let into = "copy psp_intents (intent, payment_id, pledge_id, currency, status, held, taken, refunded, disputed,
                told_by) from stdin";
    bench.fill(into, said.intents.iter().map(row)).await?;
    let into = "copy psp_refunds (refund, intent, refund_id, amount, status) from stdin";
    let refunds = said.intents.iter().flat_map(|(intent, one)| {
        let row = move |part: &Back| part.refund_row(intent);
        one.refunds.iter().map(row)
    });
    bench.fill(into, refunds).await?;
    let into = "copy psp_disputes (dispute, intent, amount, status) from stdin";
    let disputes = said.intents.iter().flat_map(|(intent, one)| {
        let row =
            move |part: &Back| format!("{}\t{intent}\t{}\t{}", part.id, part.amount, part.status);
        one.disputes.iter().map(row)
    });
    bench.fill(into, disputes).await?;
    let into = "copy psp_acked (event) from stdin";
    bench.fill(into, said.acked.into_iter()).await?;
    Ok(ledger)
}

/// What a piece of the file says.
#[derive(Default)]
struct Said {
    lines: u64,
    intents: HashMap<String, Intent>,
    acked: Vec<String>,
}

/// An intent after its last fact.
#[derive(Default)]
struct Intent {
    payment_id: Option<Uuid>,
    pledge_id: Option<Uuid>,
    currency: String,
    status: String,
    held: i64,
    taken: i64,
    refunds: Vec<Back>,
    disputes: Vec<Back>,
    told_by: Option<String>,
}

/// A refund, or a dispute.
struct Back {
    id: String,
    ours: Option<Uuid>,
    amount: i64,
    status: String,
}

impl Back {
    fn refund_row(&self, intent: &str) -> String {
        let ours = null(self.ours);
        format!(
            "{}\t{intent}\t{ours}\t{}\t{}",
            self.id, self.amount, self.status
        )
    }
}

/// A line, as far as the audit needs it. The simulator's own types stay its own: what it writes is all that we know.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    fact: Option<Fact<'a>>,
    delivered: Option<&'a str>,
}

#[derive(Deserialize)]
struct Fact<'a> {
    #[serde(borrow)]
    intent: IntentFact<'a>,
    #[serde(borrow)]
    charge: Option<ChargeFact<'a>>,
    #[serde(borrow)]
    events: Vec<EventFact<'a>>,
}

/// What was given back of a charge, and what was disputed.
#[derive(Deserialize)]
struct ChargeFact<'a> {
    #[serde(borrow, default)]
    refunds: Vec<Part<'a>>,
    #[serde(borrow, default)]
    disputes: Vec<Part<'a>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    id: &'a str,
    amount: i64,
    status: &'a str,
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct IntentFact<'a> {
    #[serde(borrow)]
    terms: Terms<'a>,
    status: &'a str,
    capturable: i64,
    received: i64,
}

#[derive(Deserialize)]
struct Terms<'a> {
    id: &'a str,
    currency: &'a str,
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
}

/// Ids of ours that we had the provider keep.
#[derive(Default, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_field_names,
    reason = "the provider keeps them under these names"
)]
struct Metadata<'a> {
    #[serde(borrow)]
    payment_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pledge_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refund_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct EventFact<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    name: &'a str,
}

/// Reads the file in as many pieces as there are processors; later pieces know better.
fn read(path: &Path) -> Result<Said> {
    if !path.exists() {
        // The provider writes its first line with its first intent.
        return Ok(Said::default());
    }
    let length = std::fs::metadata(path)?.len();
    let pieces = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let bound = |n: u64| length / pieces * n + if n == pieces { length % pieces } else { 0 };
    let said: Vec<Result<Said>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..pieces)
            .map(|n| scope.spawn(move || read_piece(path, bound(n), bound(n + 1))))
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(said) => said,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    let mut whole: Option<Said> = None;
    for piece in said {
        let piece = piece.with_context(|| format!("cannot read {}", path.display()))?;
        let Some(whole) = &mut whole else {
            whole = Some(piece);
            continue;
        };
        whole.lines += piece.lines;
        whole.acked.extend(piece.acked);
        for (id, newer) in piece.intents {
            let known = whole.intents.entry(id).or_default();
            let told_by = newer.told_by.or(known.told_by.take());
            *known = Intent { told_by, ..newer };
        }
    }
    Ok(whole.unwrap_or_default())
}

/// Reads the lines that begin in a part of the file.
fn read_piece(path: &Path, from: u64, to: u64) -> Result<Said> {
    let mut said = Said::default();
    let mut file = File::open(path)?;
    let mut at = from;
    // The line that is under way at the border belongs to the piece before.
    file.seek(SeekFrom::Start(from.saturating_sub(1)))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    if from > 0 {
        at = at - 1 + reader.read_until(b'\n', &mut line)? as u64;
    }
    while at < to {
        line.clear();
        let length = reader.by_ref().read_until(b'\n', &mut line)?;
        if length == 0 || line.last() != Some(&b'\n') {
            // A line that a crash has cut short was never answered.
            break;
        }
        said.hear(&line)
            .with_context(|| format!("the line at byte {at}"))?;
        at += length as u64;
    }
    Ok(said)
}

impl Said {
    fn hear(&mut self, line: &[u8]) -> Result<()> {
        self.lines += 1;
        // Replies alone change nothing, and are long.
        if line.starts_with(br#"{"answer":"#) {
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_slice(line)?;
        if let Some(event) = line.delivered {
            self.acked.push(event.to_owned());
        }
        let Some(fact) = line.fact else {
            return Ok(());
        };
        let IntentFact { terms, .. } = &fact.intent;
        if !self.intents.contains_key(terms.id) {
            let fresh = Intent {
                payment_id: uuid(terms.metadata.payment_id.as_deref()),
                pledge_id: uuid(terms.metadata.pledge_id.as_deref()),
                currency: terms.currency.to_uppercase(),
                ..Intent::default()
            };
            self.intents.insert(terms.id.to_owned(), fresh);
        }
        if let Some(intent) = self.intents.get_mut(terms.id) {
            intent.status.clear();
            intent.status.push_str(fact.intent.status);
            intent.held = fact.intent.capturable;
            intent.taken = fact.intent.received;
            if let Some(charge) = &fact.charge {
                intent.refunds = charge.refunds.iter().map(Part::kept).collect();
                intent.disputes = charge.disputes.iter().map(Part::kept).collect();
            }
            let told = fact.events.iter().find(|event| event.name == TAKEN);
            if let Some(told) = told {
                intent.told_by = Some(told.id.to_owned());
            }
        }
        Ok(())
    }
}

impl Part<'_> {
    fn kept(&self) -> Back {
        Back {
            id: self.id.to_owned(),
            ours: uuid(self.metadata.refund_id.as_deref()),
            amount: self.amount,
            status: self.status.to_owned(),
        }
    }
}

fn sum(parts: &[Back], status: &str) -> i64 {
    let counted = parts.iter().filter(|part| part.status == status);
    counted.map(|part| part.amount).sum()
}

/// What is there more than once.
fn twice(ids: impl Iterator<Item = Uuid>) -> Vec<String> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    let same = ids.chunk_by(|one, next| one == next);
    let twice = same.filter(|same| same.len() > 1);
    twice.map(|same| same[0].to_string()).collect()
}

fn uuid(text: Option<&str>) -> Option<Uuid> {
    text?.parse().ok()
}

fn null(id: Option<Uuid>) -> String {
    id.map_or_else(|| r"\N".to_owned(), |id| id.to_string())
}

fn row((id, intent): (&String, &Intent)) -> String {
    let mut row = String::with_capacity(256);
    let told_by = intent.told_by.as_deref().unwrap_or(r"\N");
    let written = write!(
        row,
        "{id}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{told_by}",
        null(intent.payment_id),
        null(intent.pledge_id),
        intent.currency,
        intent.status,
        intent.held,
        intent.taken,
        sum(&intent.refunds, "succeeded"),
        sum(&intent.disputes, "lost"),
    );
    written.unwrap_or_else(|_| unreachable!("text can be added to"));
    row
}
