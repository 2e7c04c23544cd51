//! A bench that witnesses' statements are laid out on: a session of PostgreSQL, with what they say in temporary tables
//! beside the services' own. Two are at work at the same time, and see the same moment.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::Finding;

/// How many offending ids a finding holds at most.
const KEPT: usize = 1000;

/// How much text is handed to the server at once, in bytes.
const PIECE: usize = 1 << 20;

/// A session of the database under audit.
pub(super) struct Bench {
    connection: PgConnection,
    counted: HashMap<&'static str, i64>,
}

impl Bench {
    /// Opens a session whose temporary tables are empty.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(url)
            .await
            .context("cannot reach the database")?;
        // The two sessions are all the parallelism that two processors can use.
        let settings = "set application_name = 'audit'; set statement_timeout = 0; set jit = off;
            set max_parallel_workers_per_gather = 0; set work_mem = '512MB'; set temp_buffers = '384MB'; set timezone = 'UTC'";
        run(&mut connection, settings).await?;
        run(&mut connection, include_str!("tables.sql")).await?;
        let counted = HashMap::new();
        Ok(Self {
            connection,
            counted,
        })
    }

    /// Fills a temporary table with rows in the text form of `copy`: `into` names it and its columns.
    pub(super) async fn fill(
        &mut self,
        into: &'static str,
        rows: impl Iterator<Item = String>,
    ) -> Result<()> {
        let mut copy = self.connection.copy_in_raw(into).await?;
        let mut text = String::with_capacity(PIECE + 1024);
        for row in rows {
            text.push_str(&row);
            text.push('\n');
            if text.len() >= PIECE {
                copy.send(text.as_bytes()).await?;
                text.clear();
            }
        }
        copy.send(text.as_bytes()).await?;
        copy.finish().await.context(into)?;
        Ok(())
    }

    /// Ends the filling: from here on every statement sees the same moment, and none can write. Gives the moment.
    pub(super) async fn freeze(&mut self) -> Result<String> {
        self.begin().await?;
        let moment = sqlx::query_scalar("select pg_export_snapshot()");
        Ok(moment.fetch_one(&mut self.connection).await?)
    }

    /// Ends the filling likewise, at the moment at which another bench is frozen.
    pub(super) async fn freeze_at(&mut self, moment: &str) -> Result<()> {
        self.begin().await?;
        // The moment is no parameter of this statement; it was given by the server, and holds no quote.
        let at = format!("set transaction snapshot '{moment}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(at))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn begin(&mut self) -> Result<()> {
        run(
            &mut self.connection,
            "analyze psp_intents; analyze psp_acked; analyze mails",
        )
        .await?;
        // Several statements in one message are one transaction, so this one goes by itself.
        let begin = "begin isolation level repeatable read read only";
        run(&mut self.connection, begin).await
    }

    /// One number, which is asked for once: nothing changes on a bench that is frozen.
    pub(super) async fn count(&mut self, sql: &'static str) -> Result<i64> {
        if let Some(counted) = self.counted.get(sql) {
            return Ok(*counted);
        }
        let counted = sqlx::query_scalar(sql).fetch_one(&mut self.connection);
        let counted = counted.await.with_context(|| sql.to_owned())?;
        self.counted.insert(sql, counted);
        Ok(counted)
    }

    /// Ids.
    pub(super) async fn ids(&mut self, sql: &'static str) -> Result<Vec<Uuid>> {
        let ids = sqlx::query_scalar(sql).fetch_all(&mut self.connection);
        ids.await.with_context(|| sql.to_owned())
    }

    /// Ids with their versions.
    pub(super) async fn versions(&mut self, sql: &'static str) -> Result<Vec<(Uuid, i64)>> {
        let versions = sqlx::query_as(sql).fetch_all(&mut self.connection);
        versions.await.with_context(|| sql.to_owned())
    }

    /// What a statement that gives ids finds, if it gives any.
    pub(super) async fn find(&mut self, what: &str, sql: &'static str) -> Result<Option<Finding>> {
        let found = sqlx::query_scalar::<_, String>(sql).fetch_all(&mut self.connection);
        let mut ids = found.await.with_context(|| sql.to_owned())?;
        ids.truncate(KEPT);
        Ok(Finding::of(what, ids))
    }

    /// What a statement finds that says of each id what is wrong with it: one pass over large tables for several questions.
    pub(super) async fn sort_out(&mut self, sql: &'static str) -> Result<Vec<Finding>> {
        let found = sqlx::query_as::<_, (String, String)>(sql).fetch_all(&mut self.connection);
        let mut sorted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (what, id) in found.await.with_context(|| sql.to_owned())? {
            let ids = sorted.entry(what).or_default();
            if ids.len() < KEPT {
                ids.push(id);
            }
        }
        let findings = sorted.into_iter();
        Ok(findings.map(|(what, ids)| Finding { ids, what }).collect())
    }

    /// Whether there is such a table.
    pub(super) async fn has(&mut self, table: &str) -> Result<bool> {
        let there = sqlx::query_scalar("select to_regclass($1) is not null").bind(table);
        Ok(there.fetch_one(&mut self.connection).await?)
    }
}

async fn run(connection: &mut PgConnection, script: &'static str) -> Result<()> {
    sqlx::raw_sql(script).execute(connection).await?;
    Ok(())
}
