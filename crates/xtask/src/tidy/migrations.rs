//! Tables that several services have are the same table.

use std::collections::BTreeMap;

use super::{Finding, Tree};

const SHARED: [&str; 3] = ["0002_outbox.sql", "0003_idempotency.sql", "0004_inbox.sql"];

/// The migrations of the shared tables have the same bytes in every service.
pub fn migrations(tree: &Tree) -> Vec<Finding> {
    let mut first: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut findings = Vec::new();
    for (path, text) in tree
        .files()
        .filter(|(path, _)| path.starts_with("migrations/"))
    {
        let name = path.rsplit('/').next().unwrap_or_default();
        if !SHARED.contains(&name) {
            continue;
        }
        let (model, expected) = *first.entry(name).or_insert((path, text));
        if text != expected {
            findings.push(Finding::new(
                path,
                format!("differs from {model}; shared tables have one text"),
            ));
        }
    }
    findings
}
