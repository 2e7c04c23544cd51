//! The README promises only what a test proves.

use super::{Finding, Tree};

const README: &str = "README.md";

/// Every cell like `path/to/file.rs::test_name` in a table of the README names a test that exists.
pub fn readme(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.get(README) else {
        return vec![Finding::new(README, "is missing")];
    };
    let tests: Vec<(&str, &str)> = text
        .lines()
        .filter(|line| line.trim_start().starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|code| code.contains(".rs::"))
        .filter_map(|code| code.split_once("::"))
        .collect();
    if tests.is_empty() {
        return vec![Finding::new(
            README,
            "no table cell names a test, like `path/to/file.rs::test_name`",
        )];
    }
    tests
        .into_iter()
        .filter_map(|(file, test)| {
            let name = test.rsplit("::").next().unwrap_or(test);
            match tree.get(file) {
                None => Some(format!("`{file}::{test}`: there is no such file")),
                Some(text) if !text.contains(&format!("fn {name}(")) => {
                    Some(format!("`{file}::{test}`: there is no such test"))
                }
                Some(_) => None,
            }
        })
        .map(|what| Finding::new(README, what))
        .collect()
}
