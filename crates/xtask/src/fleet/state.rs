//! `fleet.json`: what runs, for scripts, for people, and for the next command.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Fleet, Identity, SERVICES};

/// The content of `fleet.json`. It holds passwords of this machine's own servers, so only we can read it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Base URL of the gateway.
    pub gateway: String,
    /// Base URL of the payment provider's simulator.
    pub psp: String,
    /// Base URL of the mailbox.
    pub mail: String,
    /// The mailbox's SMTP side.
    pub smtp: String,
    /// The first administrator.
    pub admin: Admin,
    /// The demo campaign; empty until it is made.
    pub campaign_id: String,
    /// The seven services.
    pub services: BTreeMap<String, Entry>,
    /// The simulators.
    pub simulators: BTreeMap<String, Entry>,
    /// PostgreSQL, Redis and Kafka, as far as they were started.
    pub backends: BTreeMap<String, Entry>,
    /// PostgreSQL, as superuser, in the database of the services.
    pub database_url: String,
    /// Redis.
    pub redis_url: String,
    /// Kafka's bootstrap servers.
    pub kafka: String,
    /// Signs the payment provider's webhooks.
    pub psp_webhook_secret: String,
    /// Whether the programs are release builds.
    pub release: bool,
    /// Whether nobody watches over it: it was started by `up --detach`.
    pub detached: bool,
    /// Which start of the machine the processes belong to.
    pub boot: String,
}

/// The first administrator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Admin {
    /// To log in with.
    pub email: String,
    /// To log in with.
    pub password: String,
}

/// One process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Where clients find it.
    pub url: String,
    /// Its process id.
    pub pid: i32,
    /// Which process the pid means.
    pub began: u64,
    /// What it writes.
    pub log: PathBuf,
}

impl Entry {
    /// The process, whether it still runs or not.
    pub fn identity(&self) -> Identity {
        Identity {
            pid: self.pid,
            began: self.began,
        }
    }
}

impl State {
    /// What runs in this fleet.
    pub fn of(fleet: &Fleet, campaign_id: &str, release: bool, detached: bool) -> Self {
        let secrets = fleet.secrets();
        let ours: BTreeMap<String, Entry> = fleet.servers().filter_map(entry).collect();
        let (services, simulators) = ours
            .into_iter()
            .partition(|(name, _)| SERVICES.iter().any(|service| name.starts_with(service)));
        Self {
            gateway: fleet.gateway(),
            psp: fleet.psp(),
            mail: fleet.mail(),
            smtp: fleet.smtp(),
            admin: Admin {
                email: secrets.admin_email.clone(),
                password: secrets.admin_password.clone(),
            },
            campaign_id: campaign_id.to_owned(),
            services,
            simulators,
            backends: fleet.backend_servers().filter_map(entry).collect(),
            database_url: fleet.database_url().to_string(),
            redis_url: fleet.redis_url().to_owned(),
            kafka: fleet.brokers().to_owned(),
            psp_webhook_secret: secrets.psp_webhook_secret.clone(),
            release,
            detached,
            boot: boot(),
        }
    }

    /// Where the state of a run directory lies.
    pub fn path(run_dir: &Path) -> PathBuf {
        run_dir.join("fleet.json")
    }

    /// The state that the last `up` has left, unless the machine was restarted since.
    pub fn read(run_dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(Self::path(run_dir)).ok()?;
        let state: Self = serde_json::from_str(&text).ok()?;
        (state.boot == boot()).then_some(state)
    }

    /// Writes the state as a whole.
    pub fn write(&self, run_dir: &Path) -> Result<()> {
        let path = Self::path(run_dir);
        let part = path.with_extension("json.part");
        let _absent = fs::remove_file(&part);
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .with_context(|| format!("cannot write {}", part.display()))?;
        serde_json::to_writer_pretty(file, self)?;
        fs::rename(&part, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes the state; nothing runs any more.
    pub fn remove(run_dir: &Path) {
        let _absent = fs::remove_file(Self::path(run_dir));
    }

    /// Every process, with its name.
    pub fn processes(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.services
            .iter()
            .chain(&self.simulators)
            .chain(&self.backends)
    }
}

fn entry(server: &super::Server) -> Option<(String, Entry)> {
    let identity = server.identity()?;
    Some((
        server.name.clone(),
        Entry {
            url: server.url.clone(),
            pid: identity.pid,
            began: identity.began,
            log: server.spec.log.clone(),
        },
    ))
}

/// Changes with every start of the machine.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}
