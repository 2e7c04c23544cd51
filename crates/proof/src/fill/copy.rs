//! Rows on their way into tables, in the text form of `copy`.

use std::fmt::{Display, Write as _};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// How much text is handed to the server at once, in bytes.
const PIECE: usize = 1 << 20;

/// The row that is being written. Columns that the table does not have are left out, so that one description fits the
/// table before and after a migration.
pub(super) struct Row {
    text: String,
    columns: Columns,
    /// Columns of this row so far.
    at: usize,
    /// Whether this row has a column already.
    begun: bool,
}

enum Columns {
    /// The first row is being looked at: which columns does it name?
    Asked(Vec<&'static str>),
    /// Which of them the table has.
    Known(Vec<bool>),
}

impl Row {
    /// Writes a column.
    pub(super) fn set(&mut self, name: &'static str, value: impl Display) {
        if self.place(name) {
            let _infallible = write!(self.text, "{value}");
        }
    }

    /// Writes a column that may be null.
    pub(super) fn set_opt(&mut self, name: &'static str, value: Option<impl Display>) {
        match value {
            Some(value) => self.set(name, value),
            None => self.set(name, r"\N"),
        }
    }

    /// Writes a column with a time.
    pub(super) fn set_at(&mut self, name: &'static str, at: DateTime<Utc>) {
        if self.place(name) {
            let at = at.format("%Y-%m-%d %H:%M:%S%.6f+00");
            let _infallible = write!(self.text, "{at}");
        }
    }

    /// Writes a column with bytes that are given as hexadecimal digits.
    pub(super) fn set_hex(&mut self, name: &'static str, digits: impl Display) {
        self.set(name, format_args!(r"\\x{digits}"));
    }

    /// Whether a value is to follow.
    fn place(&mut self, name: &'static str) -> bool {
        match &mut self.columns {
            Columns::Asked(names) => {
                names.push(name);
                return false;
            }
            Columns::Known(has) => {
                self.at += 1;
                if !has[self.at - 1] {
                    return false;
                }
            }
        }
        if self.begun {
            self.text.push('\t');
        }
        self.begun = true;
        true
    }

    fn end(&mut self) {
        self.text.push('\n');
        (self.at, self.begun) = (0, false);
    }
}

/// Fills a table with the rows that `write` makes of the items. Its triggers sleep meanwhile, because what they would
/// look at row by row is right by construction, and audited afterwards. Gives the number of rows; none where there is
/// no such table.
pub(super) async fn fill<T>(
    connection: &mut PgConnection,
    table: &str,
    items: impl Iterator<Item = T> + Clone,
    write: impl Fn(&mut Row, &T),
) -> Result<u64> {
    let present: Vec<String> = sqlx::query_scalar(
        "select column_name::text from information_schema.columns where table_schema || '.' || table_name = $1",
    )
    .bind(table)
    .fetch_all(&mut *connection)
    .await?;
    let mut row = Row {
        text: String::with_capacity(PIECE + 8192),
        columns: Columns::Asked(Vec::new()),
        at: 0,
        begun: false,
    };
    let Some(first) = items.clone().next().filter(|_| !present.is_empty()) else {
        return Ok(0);
    };
    write(&mut row, &first);
    let Columns::Asked(named) = row.columns else {
        return Ok(0);
    };
    let has = |name: &&str| present.iter().any(|column| column == name);
    let columns: Vec<&str> = named.iter().copied().filter(has).collect();
    row.columns = Columns::Known(named.iter().map(has).collect());
    let statement = format!("copy {table} ({}) from stdin", columns.join(", "));
    send(connection, table, &statement, row, items, write)
        .await
        .with_context(|| table.to_owned())
}

async fn send<T>(
    connection: &mut PgConnection,
    table: &str,
    statement: &str,
    mut row: Row,
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut Row, &T),
) -> Result<u64> {
    run(connection, "begin").await?;
    sqlx::query("select set_config('fill.table', $1, true)")
        .bind(table)
        .execute(&mut *connection)
        .await?;
    run(connection, ASLEEP).await?;
    let mut copy = connection.copy_in_raw(statement).await?;
    for item in items {
        write(&mut row, &item);
        row.end();
        if row.text.len() >= PIECE {
            copy.send(row.text.as_bytes()).await?;
            row.text.clear();
        }
    }
    copy.send(row.text.as_bytes()).await?;
    let rows = copy.finish().await?;
    run(connection, AWAKE).await?;
    run(connection, "commit").await?;
    Ok(rows)
}

async fn run(connection: &mut PgConnection, script: &'static str) -> Result<()> {
    sqlx::raw_sql(script).execute(connection).await?;
    Ok(())
}

const ASLEEP: &str = "
    create temp table asleep on commit drop as
    select tgname, tgenabled from pg_trigger
    where tgrelid = current_setting('fill.table')::regclass and not tgisinternal and tgenabled <> 'D';
    do $$
    declare name text;
    begin
        for name in select tgname from asleep loop
            execute format('alter table %s disable trigger %I', current_setting('fill.table'), name);
        end loop;
    end $$";

/// Each trigger as it was: some fire always, also where ordinary ones sleep.
const AWAKE: &str = "
    do $$
    declare one record;
    begin
        for one in select tgname, tgenabled from asleep loop
            execute format('alter table %s enable %s trigger %I', current_setting('fill.table'),
                           case one.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end, one.tgname);
        end loop;
    end $$";
