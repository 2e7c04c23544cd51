//! The rules of the house that no compiler and no linter knows, as checks that fail.
//!
//! A check is a pure function from a [`Tree`] to [`Finding`]s, so each is tested on a bad sample as well as on the
//! repository itself.

mod manifests;
mod migrations;
mod modules;
mod monitoring;
mod purity;
mod readme;
mod routes;
mod size;
mod source;
mod sql;
mod tree;
mod words;

pub use manifests::manifests;
pub use migrations::migrations;
pub use modules::modules;
pub use monitoring::monitoring;
pub use purity::purity;
pub use readme::readme;
pub use routes::routes;
pub use size::size;
pub use sql::sql;
pub use tree::{Finding, Tree};
pub use words::words;

/// Everything that the checks find, in the order of the paths.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let checks = [
        manifests, migrations, modules, monitoring, purity, readme, routes, size, sql, words,
    ];
    let mut findings: Vec<Finding> = checks.iter().flat_map(|check| check(tree)).collect();
    findings.sort();
    findings.dedup();
    findings
}
