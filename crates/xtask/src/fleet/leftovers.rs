//! Processes of a fleet whose launcher is gone.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::process::MARKER;
use super::{Identity, identity};

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

/// Ends every leftover: first with SIGTERM, after `grace` with SIGKILL. Returns the names of what it ended.
pub fn sweep(run_dir: &Path, grace: Duration) -> Vec<String> {
    let found = find(run_dir);
    let deadline = Instant::now() + grace;
    for other in &found {
        // PostgreSQL takes SIGTERM as "wait for the clients to leave", and SIGINT as "send them away".
        let farewell = if other.program == "postgres" {
            Signal::SIGINT
        } else {
            Signal::SIGTERM
        };
        other.identity.signal(farewell);
    }
    for other in &found {
        let left = deadline.saturating_duration_since(Instant::now());
        if !other.identity.wait_gone(left, || false) {
            for child in other.identity.descendants() {
                child.signal(Signal::SIGKILL);
            }
            other.identity.signal(Signal::SIGKILL);
            other.identity.wait_gone(Duration::from_secs(5), || false);
        }
    }
    found.into_iter().map(|other| other.program).collect()
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
    Path::new(first)
        .file_name()
        .map_or_else(|| format!("process {pid}"), |name| name.to_string_lossy().into_owned())
}
