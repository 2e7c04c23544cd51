//! The witnesses of a fleet that `cargo xtask up` has started, whether it runs or not.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use xtask::fleet::{
    Attach, BackendOptions, BackendPorts, Backends, Lock, Secrets,
    state::{Entry, State},
};

use super::Sources;

/// The database that `up` makes in a PostgreSQL of its own.
const DATABASE: &str = "careforall";

/// The witnesses of a fleet. Servers that were started to be asked end with this value.
#[derive(Debug)]
pub struct Held {
    /// Where they are.
    pub sources: Sources,
    /// Whether the services run.
    pub running: bool,
    started: Option<(Backends, Lock)>,
}

impl Held {
    /// Finds the witnesses of a run directory. Where nothing runs, PostgreSQL and Kafka are started on free ports with
    /// the data that lie there; the user's own servers are asked where the environment names them.
    ///
    /// # Errors
    /// Fails when there is nothing to be asked, when the fleet is just being started or ended, and when a server does
    /// not start.
    pub fn find(run_dir: &Path, journal: Option<PathBuf>) -> Result<Self> {
        let sources = Sources {
            database_url: String::new(),
            brokers: None,
            topic_prefix: String::new(),
            ledger: run_dir.join("psp/ledger.jsonl"),
            mail_url: None,
            logs: Some(run_dir.join("logs")).filter(|logs| logs.is_dir()),
            journal,
            lost: None,
        };
        match State::read(run_dir) {
            Some(state) if state.backends.values().all(is_alive) => {
                Ok(Self::of_running(sources, &state))
            }
            _ => Self::start(run_dir, sources),
        }
    }

    fn of_running(sources: Sources, state: &State) -> Self {
        let mailbox = state.simulators.get("mail-sim");
        let sources = Sources {
            database_url: state.database_url.clone(),
            brokers: Some(state.kafka.clone()),
            mail_url: mailbox
                .filter(|one| is_alive(one))
                .map(|_| state.mail.clone()),
            ..sources
        };
        Self {
            sources,
            running: true,
            started: None,
        }
    }

    fn start(run_dir: &Path, sources: Sources) -> Result<Self> {
        let mut attach = Attach::from_env();
        if attach.database_url.is_none() && !run_dir.join("postgres/PG_VERSION").is_file() {
            bail!("no fleet has left any data in {}", run_dir.display());
        }
        let Some(lock) = Lock::take(run_dir)? else {
            bail!("the fleet is being started or ended just now; try again");
        };
        let is_own = attach.database_url.is_some();
        // The cache is no witness.
        attach.redis_url.get_or_insert_default();
        let secrets = Secrets::load_or_create(&run_dir.join("secrets"))?;
        let backends = Backends::start(&BackendOptions {
            run_dir: run_dir.to_owned(),
            ports: BackendPorts::free()?,
            durable: true,
            brief: true,
            kafka_heap_mb: 256,
            password: Some(secrets.postgres),
            attach,
        })?;
        let url = &backends.database_url;
        let name = if is_own { url.database() } else { DATABASE };
        let sources = Sources {
            database_url: url.with_database(name).to_string(),
            brokers: Some(backends.brokers.clone()),
            ..sources
        };
        Ok(Self {
            sources,
            running: false,
            started: Some((backends, lock)),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((backends, _lock)) = &mut self.started {
            backends.stop();
        }
    }
}

fn is_alive(entry: &Entry) -> bool {
    entry.identity().is_alive()
}
