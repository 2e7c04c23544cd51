//! One started process: how to start it, and how to end it.

use std::fs::{self, OpenOptions};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::Identity;
use crate::{interrupt, settings};

/// The variable that every process of a fleet carries: the run directory it belongs to.
pub const MARKER: &str = "CFA_RUN";

/// How to start a process.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The program file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, besides what [`settings::inherited`] lets through.
    pub env: Vec<(String, String)>,
    /// The file that its output is appended to.
    pub log: PathBuf,
    /// The run directory it belongs to.
    pub run_dir: PathBuf,
    /// The user and group id to run as, where it must not be ours.
    pub owner: Option<(u32, u32)>,
}

impl Spec {
    /// The command for this, with the environment emptied and filled by name, in a process group of its own, so that
    /// a ctrl-c in the terminal reaches us alone and we end the others in order.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(settings::inherited())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env(MARKER, &self.run_dir)
            .stdin(Stdio::null())
            .process_group(0);
        if let Some((user, group)) = self.owner {
            // The current directory may be closed to the other user, and PostgreSQL complains about that.
            command.uid(user).gid(group).current_dir("/");
        }
        command
    }
}

/// A process that we started, and still own.
#[derive(Debug)]
pub struct Process {
    child: Child,
    identity: Identity,
}

impl Process {
    /// Starts the process with its output appended to its log.
    pub fn spawn(spec: &Spec) -> Result<Self> {
        if let Some(dir) = spec.log.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let log = open_log(&spec.log)?;
        let child = spec
            .command()
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", spec.program.display()))?;
        let pid = child.id().cast_signed();
        // A child is not reaped before we wait for it, so its entry is there even if it has ended already.
        let identity = Identity::of(pid).unwrap_or(Identity { pid, began: 0 });
        let mut process = Self { child, identity };
        process.wait_for_mark();
        Ok(process)
    }

    /// Waits until the process can be found by its mark. The kernel lets a parent go on as soon as the child's memory
    /// is the new program's, and fills in that program's environment just after.
    fn wait_for_mark(&mut self) {
        let environment = format!("/proc/{}/environ", self.identity.pid);
        let unmarked = || fs::read(&environment).is_ok_and(|bytes| bytes.is_empty());
        while unmarked() && self.ended().is_none() {
            std::thread::yield_now();
        }
    }

    /// Which process this is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends the signal and waits; after `grace`, or once the user insists, kills the whole group.
    pub fn stop(mut self, signal: Signal, grace: Duration) -> ExitStatus {
        self.identity.signal(signal);
        let identity = self.identity;
        identity.wait_gone(grace, || self.ended().is_some() || interrupt::insisted());
        self.kill()
    }

    /// Kills the process and everything it started with SIGKILL, as a power cut would, and waits until all have gone.
    /// A process that had ended before keeps the status it ended with.
    pub fn kill(mut self) -> ExitStatus {
        // Whoever is stopped starts nothing more that would then be missing from the list.
        let identity = self.identity;
        identity.signal(Signal::SIGSTOP);
        identity.wait_gone(Duration::from_secs(5), || identity.is_stopped());
        let descendants = identity.descendants();
        self.identity.signal_group(Signal::SIGKILL);
        self.identity.signal(Signal::SIGKILL);
        for other in &descendants {
            other.signal(Signal::SIGKILL);
        }
        let status = self.child.wait();
        for other in descendants {
            other.wait_gone(Duration::from_secs(5), || false);
        }
        status.unwrap_or_else(|_| ExitStatus::from_raw(Signal::SIGKILL as i32))
    }
}

fn open_log(path: &Path) -> Result<fs::File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}
