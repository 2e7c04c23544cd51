//! Every SQL text of a service, prepared against its migrated schema: a typo fails the test, not the donor.

#![expect(
    clippy::disallowed_types,
    reason = "the texts come from the sources that are being checked"
)]

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use syn::visit::{self, Visit};

use crate::Database;

/// Prepares each literal that is passed to `sqlx::query*` under `source`, and gives how many there were.
pub async fn prepare_all(source: &Path, database: &Database) -> usize {
    let mut found = Found::default();
    for file in rust_files(source) {
        let text = std::fs::read_to_string(&file).expect("a source file can be read");
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        found.visit_file(&parsed);
    }
    let pool = database.pool();
    for text in &found.0 {
        let prepared = pool
            .prepare(AssertSqlSafe(text.clone()).into_sql_str())
            .await;
        if let Err(error) = prepared {
            panic!("{error} in\n{text}");
        }
    }
    found.0.len()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the source folder can be read") {
        let path = entry.expect("the source folder can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[derive(Default)]
struct Found(Vec<String>);

impl<'ast> Visit<'ast> for Found {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let (syn::Expr::Path(function), Some(syn::Expr::Lit(text))) =
            (&*call.func, call.args.first())
            && let syn::Lit::Str(text) = &text.lit
            && function.path.segments.last().is_some_and(|name| {
                ["query", "query_as", "query_scalar", "query_with"]
                    .iter()
                    .any(|known| name.ident == known)
            })
        {
            self.0.push(text.value());
        }
        visit::visit_expr_call(self, call);
    }
}
