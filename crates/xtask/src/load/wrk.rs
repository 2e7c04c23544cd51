//! The most that one endpoint gives, by wrk: a closed loop over a fixed number of connections.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::fleet::state::State;
use crate::{run, settings};

/// A closed loop.
#[derive(Clone, Copy, Debug)]
pub struct Loop {
    /// How many connections.
    pub connections: usize,
    /// For how long, in seconds.
    pub seconds: u64,
}

/// What `loadtest/wrk/report.lua` prints.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Burst {
    /// Requests answered.
    pub requests: u64,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Requests per second.
    pub per_second: f64,
    /// Half were faster, in milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 were faster, in milliseconds.
    pub p95_ms: f64,
    /// 99 of 100 were faster, in milliseconds.
    pub p99_ms: f64,
    /// Replies other than 2xx and 3xx.
    pub refused: u64,
    /// Those, and broken connections.
    pub errors: u64,
}

/// Whether wrk is installed, and what to do where it is not.
pub fn check() -> Result<()> {
    settings::find_program("wrk")
        .map(drop)
        .context("wrk is not installed: `apt-get install wrk`, then run this again")
}

/// Drives `loadtest/wrk/<script>.lua`.
pub fn drive(root: &Path, script: &str, fleet: &State, how: Loop) -> Result<Burst> {
    let printed = run::captured(
        Command::new("wrk")
            .args([
                "--threads",
                "2",
                "--connections",
                &how.connections.to_string(),
            ])
            .args([
                "--duration",
                &format!("{}s", how.seconds),
                "--timeout",
                "10s",
                "--script",
            ])
            .arg(root.join("loadtest/wrk").join(format!("{script}.lua")))
            .arg(&fleet.gateway)
            .env("CAMPAIGN", &fleet.campaign_id),
    )?;
    let line = printed
        .lines()
        .find(|line| line.starts_with('{'))
        .with_context(|| format!("wrk printed no figures:\n{printed}"))?;
    serde_json::from_str(line).with_context(|| format!("cannot understand {line}"))
}
