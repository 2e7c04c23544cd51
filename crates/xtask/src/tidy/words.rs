//! Words that have no place in the repository.

use super::tree::is_rust;
use super::{Finding, Tree};

/// Paths of one machine, notes to oneself, and silenced lints. Written in two halves here, or this file would find itself.
const ANYWHERE: [(&str, &str); 4] = [
    (concat!("/wo", "rk/"), "is a path of one machine"),
    (concat!("/tmp/", "dev"), "is a path of one machine"),
    (
        concat!("TO", "DO"),
        "is a note to oneself: do it, or leave it",
    ),
    (
        concat!("FIX", "ME"),
        "is a note to oneself: do it, or leave it",
    ),
];

const IN_RUST: [(&str, &str); 4] = [
    (concat!("to", "do!"), "is a stub"),
    (concat!("unimple", "mented!"), "is a stub"),
    (
        concat!("#[al", "low"),
        "silences a lint for ever: use `#[expect(lint, reason = \"..\")]`",
    ),
    (
        concat!("#![al", "low"),
        "silences a lint for ever: use `#![expect(lint, reason = \"..\")]`",
    ),
];

/// No machine paths, no notes to oneself, no stubs, no silenced lints.
pub fn words(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| *path != "Cargo.lock") {
        let in_rust: &[_] = if is_rust(path) { &IN_RUST } else { &[] };
        for (at, line) in text.lines().enumerate() {
            for (word, why) in ANYWHERE
                .iter()
                .chain(in_rust)
                .filter(|(word, _)| line.contains(word))
            {
                findings.push(Finding::new(
                    path,
                    format!("line {}: `{word}` {why}", at + 1),
                ));
            }
        }
    }
    findings
}
