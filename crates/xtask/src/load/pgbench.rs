//! The yardstick: PostgreSQL's own client inserts the same rows into the same server.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;

use super::Settings;
use crate::fleet::state::State;
use crate::fleet::{DatabaseUrl, install};
use crate::{run, settings};

const SCHEMA: &str = "load_yardstick";

/// What pgbench reached.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Yardstick {
    /// Statements per second.
    pub per_second: f64,
    /// Their average time, in milliseconds.
    pub average_ms: f64,
}

/// Runs `loadtest/pgbench/pledge.sql` in a schema of its own with the tables of the pledge service.
pub fn drive(root: &Path, fleet: &State, settings: &Settings) -> Result<Yardstick> {
    let psql = super::psql(fleet)?;
    let path = [("PGOPTIONS".to_owned(), format!("-c search_path={SCHEMA}"))];
    psql.query(&format!(
        "drop schema if exists {SCHEMA} cascade; create schema {SCHEMA}"
    ))?;
    for table in ["0001_pledges", "0002_outbox", "0003_idempotency"] {
        psql.script(&root.join(format!("migrations/pledge/{table}.sql")), &path)?;
    }
    let figures = measure(root, fleet, settings);
    psql.query(&format!("drop schema {SCHEMA} cascade"))?;
    figures
}

fn measure(root: &Path, fleet: &State, settings: &Settings) -> Result<Yardstick> {
    let url: DatabaseUrl = fleet.database_url.parse()?;
    let mut command = Command::new(program()?);
    command
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--file"])
        .arg(root.join("loadtest/pgbench/pledge.sql"))
        .args([
            "--client",
            &settings.connections.to_string(),
            "--time",
            &settings.seconds.to_string(),
        ])
        .arg(url.with_password(None).to_string())
        .env("PGOPTIONS", format!("-c search_path={SCHEMA}"));
    if let Some(password) = url.password() {
        command.env("PGPASSWORD", password);
    }
    let printed = run::captured(&mut command)?;
    let figure = |name: &str| {
        let rest = printed.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    Ok(Yardstick {
        per_second: figure("tps = ")
            .with_context(|| format!("pgbench printed no figures:\n{printed}"))?,
        average_ms: figure("latency average = ").unwrap_or_default(),
    })
}

/// pgbench beside the server's programs, or where Debian puts it for everyone.
fn program() -> Result<std::path::PathBuf> {
    install::postgres_bin()
        .map(|bin| bin.join("pgbench"))
        .filter(|file| file.is_file())
        .or_else(|| settings::find_program("pgbench"))
        .context("pgbench is not installed: `apt-get install postgresql-contrib`")
}
