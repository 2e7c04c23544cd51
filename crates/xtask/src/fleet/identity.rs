//! Which process a pid means, so that a reused pid is never taken for one of ours.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process by its pid and the moment it began. A pid is reused one day, the pair is not, until the machine restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When it began, in clock ticks since the machine started.
    pub began: u64,
}

impl Identity {
    /// The process that has this pid now; nothing when there is none, or only its remains.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        (!stat.dead).then_some(Self {
            pid,
            began: stat.began,
        })
    }

    /// Whether this very process still runs.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// The pid of the process that started this one, or that took it over.
    pub fn parent(self) -> Option<i32> {
        Some(Stat::read(self.pid)?.parent)
    }

    /// Sends the signal to the process, if it is still this one.
    pub fn signal(self, signal: Signal) {
        if self.is_alive() {
            let _gone = signal::kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Sends the signal to the whole process group that this process leads, if it is still this one.
    pub fn signal_group(self, signal: Signal) {
        if self.is_alive() {
            let _gone = signal::killpg(Pid::from_raw(self.pid), signal);
        }
    }

    /// The processes that this one started, and theirs, at this moment.
    pub fn descendants(self) -> Vec<Self> {
        let all: Vec<(Self, i32)> = pids()
            .filter_map(|pid| {
                let stat = Stat::read(pid)?;
                let began = stat.began;
                (!stat.dead).then_some((Self { pid, began }, stat.parent))
            })
            .collect();
        let mut found = vec![self];
        let mut next = 0;
        while next < found.len() {
            let parent = found[next].pid;
            found.extend(
                all.iter()
                    .filter(|(_, of)| *of == parent)
                    .map(|(id, _)| *id),
            );
            next += 1;
        }
        found.split_off(1)
    }

    /// Whether a signal has stopped the process.
    pub fn is_stopped(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.began == self.began && stat.stopped)
    }

    /// Waits until the process has gone; false when the time is over first. `reap` is asked each time, so that a child
    /// of ours does not stay as a zombie.
    pub fn wait_gone(self, patience: Duration, mut reap: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            if reap() || !self.is_alive() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Every pid of the machine.
pub(super) fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

struct Stat {
    dead: bool,
    stopped: bool,
    parent: i32,
    began: u64,
}

impl Stat {
    /// Reads `/proc/<pid>/stat`. The name of the program stands in parentheses and may hold anything, so fields are
    /// counted from the last one.
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
        Some(Self {
            dead: matches!(*fields.first()?, "Z" | "X" | "x"),
            stopped: matches!(*fields.first()?, "T" | "t"),
            parent: fields.get(1)?.parse().ok()?,
            began: fields.get(19)?.parse().ok()?,
        })
    }
}
