//! I12: clients are answered no mistake of ours, the logs explain each failure, and tell nobody's secrets.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use xtask::fleet::SERVICES;

use super::{Finding, Verdict, pattern};
use crate::journal::{self, Entry};

/// What is logged where a request is answered with 500, and with 503 because of the database.
const FAILURES: [&str; 2] = ["request failed", "the database is unavailable"];

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    message: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    trace_id: Option<std::borrow::Cow<'a, str>>,
}

/// Reads what clients were answered, and the logs of the services.
pub(super) fn examine(logs: Option<&Path>, journal: Option<&Path>) -> Result<Verdict> {
    let mut verdict = Verdict::new(
        "I12",
        "nothing fails by a mistake of ours, each failure has a trace, no log has a secret",
    );
    let answers = journal.map_or_else(|| Ok(Vec::new()), journal::tries)?;
    let mistakes = answers.iter().filter(|answer| answer.is_our_mistake());
    let mistakes = mistakes.map(mistake).collect();
    verdict.extend(Finding::of("answers that are a mistake of ours", mistakes));
    let Some(logs) = logs else {
        return Ok(verdict.skipped("no logs were named"));
    };
    let mut files: Vec<_> = std::fs::read_dir(logs)
        .with_context(|| format!("cannot read {}", logs.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_of_service(path))
        .collect();
    files.sort();
    let (mut lines, mut failures) = (0, 0);
    let (mut untraced, mut telling) = (Vec::new(), Vec::new());
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut text = Vec::new();
        for number in 1.. {
            text.clear();
            if reader.read_until(b'\n', &mut text)? == 0 {
                break;
            }
            lines += 1;
            let text = String::from_utf8_lossy(&text);
            if let Some(what) = pattern::secret(&text) {
                telling.push(format!("{name}:{number} ({what})"));
            }
            let Ok(line) = serde_json::from_str::<Line<'_>>(&text) else {
                continue;
            };
            let message = line.message.unwrap_or_default();
            if FAILURES.contains(&message.as_ref()) {
                failures += 1;
                if line.trace_id.is_none() {
                    untraced.push(format!("{name}:{number}"));
                }
            }
        }
    }
    verdict.extend(Finding::of("failures without a trace", untraced));
    verdict.extend(Finding::of("lines with something secret", telling));
    Ok(verdict.compared(format!(
        "{lines} lines of {} logs, {failures} of them about failed requests, and {} answers",
        files.len(),
        answers.len()
    )))
}

/// What a person needs to look it up: the trace is in the logs.
fn mistake(answer: &Entry) -> String {
    let status = answer.status.unwrap_or_default();
    let trace = answer.trace_id.as_deref().unwrap_or("none");
    format!("{status} {} (trace {trace})", answer.route)
}

/// Whether a service has written the file; `pledge-2.log` is of a second instance.
fn is_of_service(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_log = path.extension().is_some_and(|extension| extension == "log");
    is_log && SERVICES.iter().any(|service| name.starts_with(service))
}
