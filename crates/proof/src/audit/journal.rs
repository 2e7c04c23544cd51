//! The journal: what donors and operators asked for and were told.

use std::path::Path;

use anyhow::Result;
use chrono::DateTime;

use super::bench::Bench;
use crate::journal::{self, Entry, Kind, Outcome};

/// How much was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Idempotency keys that a pledge was asked for under.
    pub(super) pledges: usize,
    /// Keys of other kinds.
    pub(super) others: usize,
}

/// Lays the journal out on the bench.
pub(super) async fn lay_out(bench: &mut Bench, path: &Path) -> Result<Size> {
    let mut entries = journal::read(path)?;
    // Nothing comes of looking.
    entries.retain(|entry| entry.kind != Kind::Look);
    let pledges = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Pledge)
        .count();
    let size = Size {
        pledges,
        others: entries.len() - pledges,
    };
    let into = "copy journal (key, kind, sent_at, outcome, campaign_id, amount, currency, email, pledge_id, payment_id, intent,
                              after)
                from stdin";
    bench.fill(into, entries.iter().map(row)).await?;
    Ok(size)
}

fn row(entry: &Entry) -> String {
    fn or_null(value: Option<impl ToString>) -> String {
        value.map_or_else(|| r"\N".to_owned(), |value| value.to_string())
    }
    let kind = match entry.kind {
        Kind::Pledge => "pledge",
        Kind::Payment => "payment",
        Kind::Confirm => "confirm",
        Kind::Challenge => "challenge",
        Kind::Hold => "hold",
        Kind::Cancel => "cancel",
        Kind::Refund => "refund",
        Kind::Capture => "capture",
        Kind::Void => "void",
        Kind::CallOff => "call_off",
        Kind::Rebuild => "rebuild",
        Kind::Switch => "switch",
        Kind::Match => "match",
        Kind::Look => "look",
    };
    let outcome = match entry.outcome {
        Outcome::Ok => "ok",
        Outcome::Fail => "fail",
        Outcome::Unknown => "unknown",
    };
    let sent_at = DateTime::from_timestamp_millis(entry.sent_at).unwrap_or_default();
    let sent_at = sent_at.to_rfc3339();
    format!(
        "{}\t{kind}\t{sent_at}\t{outcome}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
        entry.key,
        entry.campaign_id,
        entry.amount,
        entry.currency,
        entry.email,
        or_null(entry.pledge_id),
        or_null(entry.payment_id),
        or_null(entry.intent.as_ref()),
        or_null(entry.after),
    )
}
