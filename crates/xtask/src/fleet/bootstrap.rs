//! SQL by PostgreSQL's own client: roles, schemas, databases.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{DatabaseUrl, Secrets, install};
use crate::run::{self, Guard};
use crate::settings;

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

    /// Runs one statement again and again over one connection, with a pause in seconds between.
    pub fn watch(&self, sql: &str, pause: f64) -> Result<Watch> {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Guard(command.spawn().context("cannot run psql")?);
        let mut input = child.0.stdin.take().context("psql has no input")?;
        writeln!(input, "{sql} \\watch {pause}")?;
        Ok(Watch { child })
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

/// A statement that runs again and again.
pub struct Watch {
    child: Guard,
}

impl Watch {
    /// Ends it, and gives all that it has printed, which must be less than a pipe holds.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub fn end(mut self) -> Result<String> {
        if let Some(status) = self.child.0.try_wait()? {
            bail!("psql ended by itself ({status})");
        }
        self.child.0.kill()?;
        let mut printed = String::new();
        let output = self.child.0.stdout.take();
        output
            .context("psql has no output")?
            .read_to_string(&mut printed)?;
        Ok(printed)
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
