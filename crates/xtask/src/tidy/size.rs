//! A file is read in one sitting.

use super::tree::in_service;
use super::{Finding, Tree};

const SOURCE: usize = 400;
const MAIN: usize = 30;

/// No source file passes 400 lines, tests excluded, and no `main.rs` of a service 30.
pub fn size(tree: &Tree) -> Vec<Finding> {
    tree.sources()
        .filter_map(|(path, text)| {
            let lines = text.lines().count();
            let is_main = in_service(path).is_some_and(|(_, file)| file == "main.rs");
            let limit = if is_main { MAIN } else { SOURCE };
            (lines > limit)
                .then(|| Finding::new(path, format!("has {lines} lines, {limit} are allowed")))
        })
        .collect()
}
