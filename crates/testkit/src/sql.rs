//! Every SQL text of a service, prepared and planned against its migrated schema: a typo or a missing index fails the
//! test, not the donor.

#![expect(
    clippy::disallowed_types,
    reason = "the texts come from the sources that are being checked"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection, SqlSafeStr};
use syn::visit::{self, Visit};

use crate::Database;

/// Prepares each literal that is passed to `sqlx::query*` under `source`, and gives how many there were. Its plan must
/// reach the rows of every table by a condition on an index, or stop at a limit: whatever reads a whole table is quick
/// here and slow in a year.
pub async fn prepare_all(source: &Path, database: &Database) -> usize {
    let mut found = Found::default();
    for file in rust_files(source) {
        let text = std::fs::read_to_string(&file).expect("a source file can be read");
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        found.visit_file(&parsed);
    }
    let mut connection = database.pool().acquire().await.expect("a connection");
    // As in the services' own sessions.
    let session = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off;
                   set enable_mergejoin = off";
    connection.execute(session).await.expect("settings");
    for text in &found.0 {
        let prepared = connection
            .prepare(AssertSqlSafe(text.clone()).into_sql_str())
            .await;
        if let Err(error) = prepared {
            panic!("{error} in\n{text}");
        }
        if let Some(scan) = whole_table(&plan(&mut connection, text).await, false) {
            panic!("{scan} in\n{text}");
        }
    }
    found.0.len()
}

/// The plan of a statement whatever its parameters; nothing for a statement that has none, such as `set`.
async fn plan(connection: &mut PgConnection, text: &str) -> Value {
    let sql = |text: String| AssertSqlSafe(text);
    let verb = text.split_whitespace().next().unwrap_or_default();
    if !["select", "insert", "update", "delete", "with"].contains(&verb) {
        return Value::Null;
    }
    let made = sqlx::raw_sql(sql(format!("prepare planned as {text}")));
    made.execute(&mut *connection)
        .await
        .expect("it is prepared");
    let parameters: i32 = sqlx::query_scalar(
        "select cardinality(parameter_types) from pg_prepared_statements where name = 'planned'",
    )
    .fetch_one(&mut *connection)
    .await
    .expect("it is listed");
    let nulls = vec!["null"; usize::try_from(parameters).unwrap_or_default()].join(", ");
    let list = if nulls.is_empty() {
        nulls
    } else {
        format!("({nulls})")
    };
    let explain = sql(format!("explain (format json) execute planned{list}"));
    let row = sqlx::raw_sql(explain).fetch_one(&mut *connection).await;
    let row = row.unwrap_or_else(|error| panic!("{error} in\n{text}"));
    let plan: Value = sqlx::Row::get(&row, 0);
    let gone = connection.execute("deallocate planned").await;
    gone.expect("it can be forgotten");
    plan[0]["Plan"].clone()
}

/// The first scan of a plan that reads a whole table; `limited` says whether something above it stops it early.
fn whole_table(node: &Value, limited: bool) -> Option<String> {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let by_index = ["Index Scan", "Index Only Scan", "Bitmap Index Scan"].contains(&kind);
    let whole = kind == "Seq Scan" || (by_index && node["Index Cond"].is_null());
    if whole && !limited {
        let of = node["Relation Name"]
            .as_str()
            .or(node["Index Name"].as_str());
        return Some(format!("{kind} of all of {}", of.unwrap_or_default()));
    }
    // A sort has read everything before the limit above it can stop anything.
    let limited = match kind {
        "Limit" => true,
        "Sort" | "Aggregate" | "WindowAgg" => false,
        _ => limited,
    };
    let below = node["Plans"].as_array()?;
    below.iter().find_map(|node| whole_table(node, limited))
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
