//! Each table has one author.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;
use super::tree::in_service;
use super::{Finding, Tree};

/// In a service, SQL stands in `db` files only, and each table is written from one of them.
pub fn sql(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut authors: BTreeMap<(&str, String), BTreeSet<String>> = BTreeMap::new();
    for (path, text) in tree.files() {
        let Some((service, file)) = in_service(path) else {
            continue;
        };
        let statements = if has_extension(path, "sql") {
            vec![text.to_owned()]
        } else if has_extension(path, "rs") {
            let source = Source::parse(text);
            if !is_db(file) && source.paths.iter().any(|path| is_query(path)) {
                findings.push(Finding::new(path, "runs SQL; queries stand in `db` files"));
            }
            source.strings
        } else {
            continue;
        };
        for table in statements
            .iter()
            .flat_map(|statement| written_tables(statement))
        {
            if is_db(file) {
                let author = author(path);
                authors
                    .entry((service, table))
                    .or_default()
                    .insert(author.to_owned());
            } else {
                findings.push(Finding::new(
                    path,
                    format!("writes table `{table}`; writes stand in `db` files"),
                ));
            }
        }
    }
    for ((_, table), files) in authors.into_iter().filter(|(_, files)| files.len() > 1) {
        let files: Vec<String> = files.into_iter().collect();
        findings.push(Finding::new(
            &format!("{}.rs", files[0]),
            format!(
                "table `{table}` is written here and in {}; each table has one file",
                files[1..].join(", ")
            ),
        ));
    }
    findings
}

/// `db/pledges.sql` belongs to `db/pledges.rs`, and so does what is in the folder `db/pledges`.
fn author(path: &str) -> &str {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let parts = stem.split_once("/db/");
    let folder = parts.and_then(|(before, rest)| {
        let (name, _) = rest.split_once('/')?;
        stem.get(..before.len() + "/db/".len() + name.len())
    });
    folder.unwrap_or(stem)
}

fn has_extension(path: &str, wanted: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, extension)| extension == wanted)
}

fn is_db(file: &str) -> bool {
    file == "db.rs" || file.starts_with("db/")
}

fn is_query(path: &[String]) -> bool {
    path.len() > 1 && path[0] == "sqlx" && path[1].starts_with("query")
}

/// The tables that a text writes, if it is SQL: `insert into t`, `delete from t`, `update t set`, `merge into t`.
fn written_tables(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '"';
    let words: Vec<&str> = lower
        .split(|c| !is_part(c))
        .filter(|word| !word.is_empty())
        .collect();
    words
        .windows(3)
        .enumerate()
        .filter_map(|(at, three)| match three {
            ["insert" | "merge", "into", table]
            | ["delete", "from", table]
            | ["truncate", "table", table] => Some(*table),
            ["update", ..] => updated_table(&words, at),
            _ => None,
        })
        .map(|table| table.replace('"', ""))
        .collect()
}

/// The table of `update t set`, `update only t as x set`. `on conflict do update set` and `for update of t` write
/// nothing by themselves.
fn updated_table<'a>(words: &[&'a str], at: usize) -> Option<&'a str> {
    if at > 0 && matches!(words[at - 1], "do" | "for" | "key") {
        return None;
    }
    let mut rest = words[at + 1..].iter().skip_while(|word| **word == "only");
    let table = rest.next()?;
    (*table != "set" && rest.take(3).any(|word| *word == "set")).then_some(*table)
}
