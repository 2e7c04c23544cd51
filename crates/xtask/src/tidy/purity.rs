//! Modules that compute and do nothing else.

use super::source::Source;
use super::{Finding, Tree};

const PURE: [&str; 6] = ["ids", "money", "payment", "events", "domain", "signature"];

/// Crates that reach out of the process. `chassis` counts whole, its clock aside.
const IO: [&str; 13] = [
    "axum",
    "chassis",
    "hyper",
    "hyper_util",
    "lettre",
    "rdkafka",
    "redis",
    "reqwest",
    "sqlx",
    "tokio",
    "tokio_util",
    "tower",
    "tower_http",
];

/// Modules of `common` that are no rules but machinery.
const MACHINERY: [&str; 4] = ["group_commit", "idempotency", "inbox", "outbox"];

const IO_OF_STD: [&str; 3] = ["fs", "net", "process"];

/// The pure modules of `common`, and every module called `domain` or `signature`, import no crate that does I/O.
pub fn purity(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.sources().filter(|(path, _)| is_pure(path)) {
        for named in Source::parse(text).paths {
            let names: Vec<&str> = named.iter().map(String::as_str).collect();
            let impure = match names[..] {
                ["chassis", "clock", ..] => false,
                ["std", part, ..] => IO_OF_STD.contains(&part) && names.get(2) != Some(&"IpAddr"),
                ["common", part, ..] => MACHINERY.contains(&part),
                [first, _, ..] => IO.contains(&first),
                _ => false,
            };
            if impure {
                let named = named.join("::");
                findings.push(Finding::new(
                    path,
                    format!("`{named}` does I/O, and this module is pure"),
                ));
            }
        }
    }
    findings
}

/// Whether the file is a pure module or lies in one. `payment` is also the name of a service, hence only in `common`.
fn is_pure(path: &str) -> bool {
    let Some((owner, file)) = path.split_once("/src/") else {
        return false;
    };
    let module = file.split('/').next().unwrap_or_default();
    let module = module.strip_suffix(".rs").unwrap_or(module);
    PURE.contains(&module) && (owner == "crates/common" || matches!(module, "domain" | "signature"))
}
