//! SQL by PostgreSQL's own client: roles, schemas, databases.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{DatabaseUrl, Secrets, install};
use crate::{run, settings};

/// PostgreSQL's command line client, bound to one database.
#[derive(Clone, Debug)]
pub struct Psql {
    program: PathBuf,
    url: DatabaseUrl,
}

impl Psql {
    /// The client for this database.
    pub fn new(url: &DatabaseUrl) -> Result<Self> {
        Ok(Self {
            program: install::psql().context("psql is not installed")?,
            url: url.clone(),
        })
    }

    /// Runs one statement and returns its rows as lines, columns separated by `|`.
    pub fn query(&self, sql: &str) -> Result<String> {
        run::captured(self.command().args(["-c", sql]))
    }

    /// Runs a script that reads its variables from the environment.
    pub fn script(&self, file: &Path, variables: &[(String, String)]) -> Result<()> {
        let mut command = self.command();
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        run::captured(command.arg("-f").arg(file)).map(drop)
    }

    /// The password goes through the environment, because arguments can be read by every process of the machine.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.url.with_password(None).to_string())
            .env_clear()
            .envs(settings::inherited())
            .env("PGCONNECT_TIMEOUT", "10");
        if let Some(password) = self.url.password() {
            command.env("PGPASSWORD", password);
        }
        command
    }
}

/// Makes the roles and schemas of the services in this database, by `migrations/bootstrap.sql`; safe to repeat.
pub fn bootstrap(root: &Path, url: &DatabaseUrl, secrets: &Secrets) -> Result<()> {
    let variables: Vec<(String, String)> = secrets
        .role_passwords()
        .map(|(service, password)| {
            (
                format!("DB_PASSWORD_{}", service.to_uppercase()),
                password.to_owned(),
            )
        })
        .collect();
    Psql::new(url)?
        .script(&root.join("migrations/bootstrap.sql"), &variables)
        .context("cannot prepare roles and schemas; where .run/secrets was removed by hand, `cargo xtask up --fresh` starts over")
}

/// Makes the database where it does not exist. `url` names the database to make; the server is asked in `postgres`.
pub(super) fn ensure_database(url: &DatabaseUrl) -> Result<()> {
    let psql = Psql::new(&url.with_database("postgres"))?;
    let name = url.database();
    let there = psql.query(&format!(
        "select 1 from pg_database where datname = '{}'",
        name.replace('\'', "''")
    ))?;
    if there.is_empty() {
        psql.query(&format!(
            "create database \"{}\"",
            name.replace('"', "\"\"")
        ))?;
    }
    Ok(())
}

/// Removes the database and sends its clients away.
pub(super) fn drop_database(url: &DatabaseUrl) -> Result<()> {
    let name = url.database().replace('"', "\"\"");
    Psql::new(&url.with_database("postgres"))?
        .query(&format!("drop database if exists \"{name}\" with (force)"))
        .map(drop)
}
