//! Processes of a fleet whose launcher is gone.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::process::MARKER;
use super::{Identity, SERVICES, SIMULATORS, identity};
use crate::interrupt;

/// A process that belongs to a run directory.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// Which process.
    pub identity: Identity,
    /// The file name of its program.
    pub program: String,
}

/// Every process, except our own, that carries the mark of this run directory or of one below it. Those that were
/// started by another of them are left to their parent.
pub fn find(run_dir: &Path) -> Vec<Leftover> {
    let own = std::process::id().cast_signed();
    let marked: Vec<Identity> = identity::pids()
        .filter(|pid| *pid != own && belongs(*pid, run_dir))
        .filter_map(Identity::of)
        .collect();
    marked
        .iter()
        .filter(|one| !marked.iter().any(|other| Some(other.pid) == one.parent()))
        .map(|one| Leftover {
            identity: *one,
            program: program(one.pid),
        })
        .collect()
}

/// Ends every leftover in an orderly way: the gateway, the services, the simulators, then what they stand on. What has
/// not ended after `grace` is killed. Returns the names of what it ended.
pub fn sweep(run_dir: &Path, grace: Duration) -> Vec<String> {
    let mut found = find(run_dir);
    found.sort_by_key(Leftover::rank);
    for group in found.chunk_by(|a, b| a.rank() == b.rank()) {
        for one in group {
            one.identity.signal(one.farewell());
        }
        let deadline = Instant::now() + grace;
        for one in group {
            let left = deadline.saturating_duration_since(Instant::now());
            if !one.identity.wait_gone(left, interrupt::insisted) || one.identity.is_alive() {
                for other in one.identity.descendants().into_iter().chain([one.identity]) {
                    other.signal(Signal::SIGKILL);
                }
                one.identity.wait_gone(Duration::from_secs(5), || false);
            }
        }
    }
    found.into_iter().map(|one| one.program).collect()
}

impl Leftover {
    /// When it is ended: who calls others goes before them.
    fn rank(&self) -> u8 {
        match self.program.as_str() {
            "gateway" => 0,
            name if SERVICES.contains(&name) => 1,
            name if SIMULATORS.contains(&name) => 2,
            _ => 3,
        }
    }

    /// PostgreSQL takes SIGTERM as "wait for the clients to leave", and SIGINT as "send them away".
    fn farewell(&self) -> Signal {
        if self.program == "postgres" {
            Signal::SIGINT
        } else {
            Signal::SIGTERM
        }
    }
}

/// Whether the process was started for this run directory. Its environment tells; it cannot be read when the process
/// belongs to another user, and such a process is not ours to end.
fn belongs(pid: i32, run_dir: &Path) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    let prefix = format!("{MARKER}=");
    environment
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix(&prefix))
        .any(|dir| Path::new(dir).starts_with(run_dir))
}

fn program(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let first = String::from_utf8_lossy(first).into_owned();
    let first = first.split(' ').next().unwrap_or_default();
    Path::new(first).file_name().map_or_else(
        || format!("process {pid}"),
        |name| name.to_string_lossy().into_owned(),
    )
}
