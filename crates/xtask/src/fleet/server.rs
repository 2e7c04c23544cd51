//! A process that serves a port: started, awaited, killed, started again.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use super::logs;
use super::{Identity, Probe, Process, Spec, ports};
use crate::interrupt;

/// A process that serves a port. It keeps its port, its data and its log from one start to the next. Dropping it kills
/// what runs.
#[derive(Debug)]
pub struct Server {
    /// What people call it: `pledge`, `pledge-2`, `postgres`.
    pub name: String,
    /// Where clients find it.
    pub url: String,
    /// The ports it listens on; the first is the one in `url`.
    pub ports: Vec<u16>,
    /// Where its data lies, if it has any.
    pub data: Option<PathBuf>,
    /// How to start it. Changes count from the next start on.
    pub spec: Spec,
    /// How to tell that it is ready.
    pub probe: Probe,
    /// The signal that means an orderly end.
    pub farewell: Signal,
    /// How long an orderly end may take before it is killed.
    pub grace: Duration,
    /// How long it may take from start to ready.
    pub patience: Duration,
    process: Option<Process>,
    log_start: u64,
}

impl Server {
    /// A server that is not started yet. It listens on `port`, ends on SIGTERM within 20 seconds, and is ready in three
    /// minutes.
    pub fn new(name: &str, url: String, port: u16, spec: Spec, probe: Probe) -> Self {
        Self {
            name: name.to_owned(),
            url,
            ports: vec![port],
            data: None,
            spec,
            probe,
            farewell: Signal::SIGTERM,
            grace: Duration::from_secs(20),
            patience: Duration::from_mins(3),
            process: None,
            log_start: 0,
        }
    }

    /// Starts the process and waits until it is ready.
    pub fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.await_ready()
    }

    /// Starts the process and returns at once. Refuses while it runs, or while another process holds one of its ports.
    pub fn spawn(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("{} runs already", self.name);
        }
        for port in &self.ports {
            ports::ensure_free(&self.name, *port)?;
        }
        self.log_start = logs::size(&self.spec.log);
        self.process = Some(Process::spawn(&self.spec)?);
        Ok(())
    }

    /// Waits until the process is ready. When it ends before, or takes too long, the error shows the end of its log.
    pub fn await_ready(&mut self) -> Result<()> {
        let patience = self.patience;
        let ready = interrupt::poll(patience, || {
            if self.probe.passes() {
                return Ok(Some(()));
            }
            match self.process.as_mut().map(Process::ended) {
                Some(None) => Ok(None),
                Some(Some(status)) => {
                    bail!("{} ended at its start ({status}){}", self.name, self.tail())
                }
                None => bail!("{} is not started", self.name),
            }
        })?;
        if ready.is_none() {
            bail!(
                "{} is not ready after {} s{}",
                self.name,
                patience.as_secs(),
                self.tail()
            );
        }
        Ok(())
    }

    /// Ends the process in an orderly way; kills it when that takes longer than its grace. Nothing when it does not run.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let process = self.process.take()?;
        Some(process.stop(self.farewell, self.grace))
    }

    /// Kills the process and all it started with SIGKILL, and returns when they have gone.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        Some(self.process.take()?.kill())
    }

    /// Ends the process in an orderly way and starts it again on the same port, with the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        self.start()
    }

    /// Waits until the process ends by itself, and says how. The error shows the end of its log.
    pub fn wait_for_exit(&mut self, patience: Duration) -> Result<ExitStatus> {
        let ended = interrupt::poll(patience, || match self.process.as_mut() {
            Some(process) => Ok(process.ended()),
            None => bail!("{} is not started", self.name),
        })?;
        let Some(status) = ended else {
            bail!(
                "{} still runs after {} s{}",
                self.name,
                patience.as_secs(),
                self.tail()
            );
        };
        self.process = None;
        Ok(status)
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.ended().is_none())
    }

    /// How the process ended, if it was started and has ended by itself since. Asked once, it forgets.
    pub fn died(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.ended()?;
        self.process = None;
        Some(status)
    }

    /// Which process this is, while it is started.
    pub fn identity(&self) -> Option<Identity> {
        self.process.as_ref().map(Process::identity)
    }

    /// Its process id, while it is started.
    pub fn pid(&self) -> Option<i32> {
        self.identity().map(|identity| identity.pid)
    }

    /// The first port it listens on.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Lets the process live on when this value is dropped.
    pub fn release(&mut self) {
        self.process = None;
    }

    /// The end of what it has written since its last start, for an error message.
    pub fn tail(&self) -> String {
        logs::tail(&self.spec.log, self.log_start)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
