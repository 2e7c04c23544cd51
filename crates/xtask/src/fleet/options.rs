//! What kind of fleet to start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::environment::SERVICES;
use super::{Attach, BackendOptions, Backends, Fleet, Ports};
use crate::settings;

/// What kind of fleet to start. Its databases and brokers run already.
#[derive(Debug)]
pub struct Options {
    /// The workspace.
    pub root: PathBuf,
    /// Where logs and data go.
    pub run_dir: PathBuf,
    /// Where secrets are kept.
    pub secrets_dir: PathBuf,
    /// Where the programs are.
    pub bin_dir: PathBuf,
    /// Ports of our own processes.
    pub ports: Ports,
    /// PostgreSQL, Redis and Kafka.
    pub backends: Backends,
    /// The database that the services share, each in its own schema.
    pub database: String,
    /// Whether its database and data are removed when it ends. Its provider then answers before the disk keeps the answer.
    pub throwaway: bool,
    /// Stands before the name of every topic and group.
    pub topic_prefix: String,
    /// Partitions of each topic.
    pub partitions: u32,
    /// Whether requests from this machine are rate limited as well.
    pub limits: bool,
    /// Further environment, by the name of the service; `*` means every one.
    pub env: BTreeMap<String, Vec<(String, String)>>,
    /// How many instances of a service the gateway knows; 1 where nothing is said.
    pub replicas: BTreeMap<String, usize>,
}

impl Options {
    /// A fleet for one test: free ports, a database and topics of its own on the servers that `DATABASE_URL`,
    /// `REDIS_URL` and `KAFKA_BROKERS` name. `name` appears in the paths of its logs.
    pub fn for_test(name: &str) -> Result<Self> {
        let backends = Backends::attached(&Attach::from_env())?;
        Self::test(name, |_| Ok(backends))
    }

    /// A fleet for one test that stops and kills databases and brokers: private copies of all three.
    pub fn for_test_with_backends(name: &str) -> Result<Self> {
        Self::test(name, |run_dir| {
            Backends::start(&BackendOptions::for_test(run_dir.to_owned())?)
        })
    }

    fn test(name: &str, backends: impl FnOnce(&Path) -> Result<Backends>) -> Result<Self> {
        let root = settings::workspace_root()?;
        let unique = format!("{name}_{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let all = settings::run_dir(&root);
        let run_dir = all.join("fleets").join(&unique);
        Ok(Self {
            backends: backends(&run_dir)?,
            bin_dir: bin_dir()?,
            // Roles belong to the whole PostgreSQL cluster, so fleets that share one share their passwords.
            secrets_dir: all.join("secrets"),
            ports: Ports::free()?,
            database: format!("fleet_{unique}"),
            throwaway: true,
            topic_prefix: format!("{unique}."),
            partitions: 1,
            limits: false,
            env: BTreeMap::new(),
            replicas: BTreeMap::new(),
            root,
            run_dir,
        })
    }

    /// Adds a variable to the environment of a service or simulator; `*` means every one of ours.
    #[must_use]
    pub fn env(mut self, service: &str, name: &str, value: &str) -> Self {
        let of_service = self.env.entry(service.to_owned()).or_default();
        of_service.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs several instances of a service; the first is called like the service, the second `pledge-2`. The gateway
    /// knows all of them from its start.
    ///
    /// # Panics
    /// When no such service exists.
    #[must_use]
    pub fn replicas(mut self, service: &str, count: usize) -> Self {
        assert!(
            SERVICES.contains(&service),
            "no service is called {service}"
        );
        self.replicas.insert(service.to_owned(), count);
        self
    }

    /// Starts the fleet and waits until every process is ready. On an error nothing stays.
    pub fn start(self) -> Result<Fleet> {
        Fleet::start_all(self)
    }

    /// Prepares the fleet, database included, and starts none of our processes.
    pub fn prepare(self) -> Result<Fleet> {
        Fleet::prepare(self)
    }
}

/// The programs that belong to the running test: `CFA_BIN_DIR`, else the directory above the test program's own.
fn bin_dir() -> Result<PathBuf> {
    if let Some(dir) = settings::var("CFA_BIN_DIR") {
        return Ok(PathBuf::from(dir));
    }
    let test = std::env::current_exe()?;
    test.parent()
        .and_then(Path::parent)
        .map(Path::to_path_buf)
        .with_context(|| format!("no directory above {}", test.display()))
}
