//! After PostgreSQL was put back to an older copy, each service brings its own schema back to the truth.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Fleet, Process, SERVICES, Spec, logs};
use crate::interrupt;

/// How long a service may take. It waits for Kafka to forget the processes that ended a moment ago.
const PATIENCE: Duration = Duration::from_mins(2);

impl Fleet {
    /// Has every service with a database recover, all at once, from the database's having been put back to a copy that
    /// is as old as `since`, in RFC 3339, or younger. None of them may run.
    pub fn recover(&self, since: &str) -> Result<()> {
        let services = SERVICES.iter().filter(|service| **service != "gateway");
        let specs: Vec<_> = services
            .map(|service| (*service, &self.servers[*service].spec))
            .collect();
        std::thread::scope(|scope| {
            let recover = |(service, spec)| scope.spawn(move || recover(service, spec, since));
            let threads: Vec<_> = specs.into_iter().map(recover).collect();
            threads
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(recovered) => recovered,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })
    }
}

fn recover(service: &str, spec: &Spec, since: &str) -> Result<()> {
    let mut spec = spec.clone();
    spec.args = ["recover", "--since", since].map(str::to_owned).to_vec();
    let from = logs::size(&spec.log);
    let mut process = Process::spawn(&spec)?;
    let ended = interrupt::poll(PATIENCE, || Ok(process.ended()))?;
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!(
            "{service} did not recover ({status}){}",
            logs::tail(&spec.log, from)
        ),
        None => {
            process.kill();
            bail!("{service} does not recover{}", logs::tail(&spec.log, from))
        }
    }
}
