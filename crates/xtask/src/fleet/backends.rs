//! PostgreSQL, Redis and Kafka: private copies, or the user's own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{BackendPorts, DatabaseUrl, Server, kafka, postgres, redis};
use crate::settings;

/// The user's own servers. Where one is given, none of that kind is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attach {
    /// PostgreSQL, as a role that may create roles and schemas.
    pub database_url: Option<String>,
    /// Redis.
    pub redis_url: Option<String>,
    /// Kafka's bootstrap servers.
    pub kafka: Option<String>,
}

impl Attach {
    /// What `DATABASE_URL`, `REDIS_URL` and `KAFKA_BROKERS` name.
    pub fn from_env() -> Self {
        Self {
            database_url: settings::var("DATABASE_URL"),
            redis_url: settings::var("REDIS_URL"),
            kafka: settings::var("KAFKA_BROKERS"),
        }
    }

    /// Whether nothing is left to start.
    pub fn is_complete(&self) -> bool {
        self.database_url.is_some() && self.redis_url.is_some() && self.kafka.is_some()
    }
}

/// How to start the three.
#[derive(Clone, Debug)]
pub struct BackendOptions {
    /// Where their data and logs go.
    pub run_dir: PathBuf,
    /// Their ports.
    pub ports: BackendPorts,
    /// Whether an acknowledged write survives a power cut. Tests that throw the data away need not wait for the disk.
    pub durable: bool,
    /// Whether they end before Java's second compiler would pay for itself.
    pub brief: bool,
    /// Kafka's heap, in MB.
    pub kafka_heap_mb: u32,
    /// The password of PostgreSQL's superuser; without one, every local user is let in.
    pub password: Option<String>,
    /// The user's own servers.
    pub attach: Attach,
}

impl BackendOptions {
    /// Private servers on free ports, fast and forgetful, for tests.
    pub fn for_test(run_dir: PathBuf) -> Result<Self> {
        Ok(Self {
            run_dir,
            ports: BackendPorts::free()?,
            durable: false,
            brief: true,
            kafka_heap_mb: 256,
            password: None,
            attach: Attach::default(),
        })
    }
}

/// The three servers that the services stand on. A field is empty where the user's own server is used.
#[derive(Debug)]
pub struct Backends {
    /// The private PostgreSQL.
    pub postgres: Option<Server>,
    /// The private Redis.
    pub redis: Option<Server>,
    /// The private Kafka.
    pub kafka: Option<Server>,
    /// PostgreSQL, as superuser.
    pub database_url: DatabaseUrl,
    /// Redis.
    pub redis_url: String,
    /// Kafka's bootstrap servers.
    pub brokers: String,
    // Keeps the ports reserved.
    _ports: BackendPorts,
}

impl Backends {
    /// Starts what the user does not bring, all at once, and waits until each is ready. On an error nothing stays.
    pub fn start(options: &BackendOptions) -> Result<Self> {
        let attach = &options.attach;
        let (postgres, redis, kafka) = std::thread::scope(|scope| {
            let kafka = scope.spawn(|| started(attach.kafka.is_none(), || kafka::prepare(options)));
            let postgres = scope.spawn(|| {
                let password = options.password.as_deref();
                started(attach.database_url.is_none(), || {
                    postgres::prepare(options, password)
                })
            });
            let redis = started(attach.redis_url.is_none(), || redis::prepare(options));
            (joined(postgres), redis, joined(kafka))
        });
        let (postgres, redis, kafka) = (postgres?, redis?, kafka?);
        let database_url = match (&postgres, &attach.database_url) {
            (Some(server), _) => {
                let url: DatabaseUrl = server.url.parse()?;
                url.with_password(options.password.as_deref())
            }
            (None, Some(url)) => url.parse().context("DATABASE_URL")?,
            (None, None) => unreachable!("a server is started where no url is given"),
        };
        let url = |server: &Option<Server>, given: &Option<String>| {
            server.as_ref().map_or_else(
                || given.clone().unwrap_or_default(),
                |server| server.url.clone(),
            )
        };
        Ok(Self {
            database_url,
            redis_url: url(&redis, &attach.redis_url),
            brokers: url(&kafka, &attach.kafka),
            postgres,
            redis,
            kafka,
            _ports: options.ports.clone(),
        })
    }

    /// Stands on the servers that the environment names, and starts none.
    pub fn attached(attach: &Attach) -> Result<Self> {
        let missing = "is not set; `cargo xtask test` sets it";
        Ok(Self {
            postgres: None,
            redis: None,
            kafka: None,
            database_url: attach
                .database_url
                .as_ref()
                .with_context(|| format!("DATABASE_URL {missing}"))?
                .parse()?,
            redis_url: attach
                .redis_url
                .clone()
                .with_context(|| format!("REDIS_URL {missing}"))?,
            brokers: attach
                .kafka
                .clone()
                .with_context(|| format!("KAFKA_BROKERS {missing}"))?,
            _ports: BackendPorts::fixed(0),
        })
    }

    /// The private PostgreSQL.
    ///
    /// # Panics
    /// When the fleet stands on the user's own.
    pub fn postgres(&mut self) -> &mut Server {
        self.postgres
            .as_mut()
            .expect("PostgreSQL is the user's own")
    }

    /// The private Redis.
    ///
    /// # Panics
    /// When the fleet stands on the user's own.
    pub fn redis(&mut self) -> &mut Server {
        self.redis.as_mut().expect("Redis is the user's own")
    }

    /// The private Kafka.
    ///
    /// # Panics
    /// When the fleet stands on the user's own.
    pub fn kafka(&mut self) -> &mut Server {
        self.kafka.as_mut().expect("Kafka is the user's own")
    }

    /// Copies the data of the private PostgreSQL, which runs.
    pub fn copy_postgres(&mut self) -> Result<()> {
        postgres::copy(self.postgres())
    }

    /// Puts the private PostgreSQL, which must not run, back to its copy.
    pub fn put_postgres_back(&mut self) -> Result<()> {
        postgres::put_back(self.postgres())
    }

    /// The servers that were started.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        [&self.postgres, &self.redis, &self.kafka]
            .into_iter()
            .flatten()
    }

    /// The servers that were started.
    pub fn servers_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        [&mut self.postgres, &mut self.redis, &mut self.kafka]
            .into_iter()
            .flatten()
    }

    /// Ends all that was started in an orderly way, at the same time.
    pub fn stop(&mut self) {
        std::thread::scope(|scope| {
            for server in self.servers_mut() {
                scope.spawn(|| server.stop());
            }
        });
    }

    /// Kills all that was started with SIGKILL.
    pub fn kill(&mut self) {
        for server in self.servers_mut() {
            server.kill();
        }
    }

    /// Lets all that was started live on when this value is dropped.
    pub fn release(&mut self) {
        self.servers_mut().for_each(Server::release);
    }
}

fn started(wanted: bool, prepare: impl FnOnce() -> Result<Server>) -> Result<Option<Server>> {
    if !wanted {
        return Ok(None);
    }
    let mut server = prepare()?;
    server.start()?;
    Ok(Some(server))
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Removes what the fleets of a test run have written below this run directory, their logs included. None of them may
/// run.
pub fn remove_fleets(run_dir: &Path) -> Result<()> {
    postgres::remove_data_of_fleets(run_dir)?;
    let dir = run_dir.join("fleets");
    if dir.is_dir() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

/// Removes the data of every server of this run directory, and the payment provider's ledger with it. Nothing of it may
/// run. Secrets and logs stay.
pub fn remove_data(run_dir: &Path) -> Result<()> {
    postgres::remove_data(run_dir)?;
    for part in ["redis", "kafka", "psp"] {
        let dir = run_dir.join(part);
        if dir.is_dir() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
    }
    Ok(())
}
