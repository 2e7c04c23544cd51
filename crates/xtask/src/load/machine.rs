//! What a figure is worth nothing without: the machine, the commit, the settings of the database, the memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use crate::fleet::state::State;
use crate::run;

/// Where and of what a run was.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Cores that we may use.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// The commit, with a `+` where the tree had changes.
    pub commit: String,
    /// `release`, or `debug`, whose speed says nothing.
    pub build: &'static str,
    /// PostgreSQL's version and what decides its speed.
    pub postgres: String,
}

impl Machine {
    /// Looks around.
    pub fn look(root: &Path, fleet: &State) -> Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field(&cpu, "model name").unwrap_or("an unknown processor").to_owned(),
            memory_gib: kilobytes(&memory, "MemTotal").unwrap_or(0).div_ceil(1024 * 1024),
            commit: commit(root),
            build: if fleet.release { "release" } else { "debug" },
            postgres: super::psql(fleet)?.query(
                "select 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1) || string_agg(', ' || name || '=' || setting, '' order by name)
                 from pg_settings where name in ('fsync', 'synchronous_commit', 'full_page_writes')",
            )?,
        })
    }
}

/// Resident memory of each service in bytes.
pub fn resident(fleet: &State) -> BTreeMap<String, u64> {
    let of = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        kilobytes(&status, "VmRSS").map(|kilobytes| kilobytes * 1024)
    };
    fleet
        .services
        .iter()
        .filter_map(|(name, service)| Some((name.clone(), of(service.pid)?)))
        .collect()
}

fn commit(root: &Path) -> String {
    let git = |args: &[&str]| run::captured(Command::new("git").arg("-C").arg(root).args(args));
    let Ok(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "no commit".to_owned();
    };
    let changed = git(&["status", "--porcelain"]).is_ok_and(|changes| !changes.is_empty());
    if changed { commit + "+" } else { commit }
}

/// The value of a `name : value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.strip_suffix("kB")?.trim().parse().ok()
}
