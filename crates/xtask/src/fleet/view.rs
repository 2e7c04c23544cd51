//! What a fleet consists of, and where to find it.

use std::path::{Path, PathBuf};

use super::{Backends, DatabaseUrl, Fleet, Secrets, Server};

impl Fleet {
    /// The names of all processes: services, replicas, simulators.
    pub fn names(&self) -> Vec<String> {
        self.servers.keys().cloned().collect()
    }

    /// One process.
    ///
    /// # Panics
    /// When no process is called that.
    pub fn server(&mut self, name: &str) -> &mut Server {
        let known = self.servers.contains_key(name);
        assert!(
            known,
            "no process is called {name}; there are {:?}",
            self.names()
        );
        self.servers.get_mut(name).expect("just looked up")
    }

    /// All processes of ours.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }

    /// All processes of ours.
    pub fn servers_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        self.servers.values_mut()
    }

    /// PostgreSQL, Redis and Kafka.
    pub fn backends(&mut self) -> &mut Backends {
        &mut self.options.backends
    }

    /// The servers behind the services that were started for this fleet.
    pub fn backend_servers(&self) -> impl Iterator<Item = &Server> {
        self.options.backends.servers()
    }

    /// The base URL of one process.
    ///
    /// # Panics
    /// When no process is called that.
    pub fn url(&self, name: &str) -> String {
        let server = self.servers.get(name);
        server
            .unwrap_or_else(|| panic!("no process is called {name}"))
            .url
            .clone()
    }

    /// The process id of one process, while it is started.
    pub fn pid(&self, name: &str) -> Option<i32> {
        self.servers.get(name).and_then(Server::pid)
    }

    /// The log of one process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.options
            .run_dir
            .join("logs")
            .join(format!("{name}.log"))
    }

    /// The base URL of the gateway.
    pub fn gateway(&self) -> String {
        self.url("gateway")
    }

    /// The base URL of the payment provider.
    pub fn psp(&self) -> String {
        self.url("psp-sim")
    }

    /// The base URL of the mailbox.
    pub fn mail(&self) -> String {
        self.url("mail-sim")
    }

    /// The mailbox's SMTP side.
    pub fn smtp(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.options.ports.smtp)
    }

    /// The fleet's database, as superuser.
    pub fn database_url(&self) -> DatabaseUrl {
        self.options
            .backends
            .database_url
            .with_database(&self.options.database)
    }

    /// Redis.
    pub fn redis_url(&self) -> &str {
        &self.options.backends.redis_url
    }

    /// Kafka's bootstrap servers.
    pub fn brokers(&self) -> &str {
        &self.options.backends.brokers
    }

    /// What stands before the name of every topic and group.
    pub fn topic_prefix(&self) -> &str {
        &self.options.topic_prefix
    }

    /// The fleet's secrets.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Where its logs, secrets and data lie.
    pub fn run_dir(&self) -> &Path {
        &self.options.run_dir
    }
}
