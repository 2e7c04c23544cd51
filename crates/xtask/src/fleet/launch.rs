//! The services and simulators around their backends.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};

use super::environment::{Facts, SERVICES, SIMULATORS};
use super::names::{instance, port_of, service_of};
use super::{
    Backends, Options, Ports, Probe, Secrets, Server, Spec, bootstrap, demo_campaign, remove_data,
};

/// How long a service that was told to abort may take to do so.
const EXIT_PATIENCE: Duration = Duration::from_secs(30);

/// A running CareForAll. Dropping it kills every process that it started.
#[derive(Debug)]
pub struct Fleet {
    pub(super) options: Options,
    pub(super) secrets: Secrets,
    pub(super) servers: BTreeMap<String, Server>,
}

impl Fleet {
    pub(super) fn prepare(options: Options) -> Result<Self> {
        let run_dir = &options.run_dir;
        fs::create_dir_all(run_dir.join("psp"))
            .with_context(|| format!("cannot make {}", run_dir.display()))?;
        let secrets = Secrets::load_or_create(&options.secrets_dir)?;
        let mut fleet = Self {
            options,
            secrets,
            servers: BTreeMap::new(),
        };
        let url = fleet.database_url();
        bootstrap::ensure_database(&url)?;
        bootstrap(&fleet.options.root, &url, &fleet.secrets)?;
        fleet.plan()?;
        Ok(fleet)
    }

    pub(super) fn start_all(options: Options) -> Result<Self> {
        let mut fleet = Self::prepare(options)?;
        fleet.start_everything()?;
        Ok(fleet)
    }

    /// Lays down which processes there are. The spare ports go to the replicas, in the order of the services.
    fn plan(&mut self) -> Result<()> {
        let mut spare = self.options.ports.spare.clone().into_iter();
        for service in SERVICES {
            for n in 1..=self.options.replicas.get(service).copied().unwrap_or(1) {
                let port = if n == 1 {
                    port_of(&self.options.ports, service)
                } else {
                    spare
                        .next()
                        .context("no port is left for another replica")?
                };
                self.add(service, &instance(service, n), port);
            }
        }
        for simulator in SIMULATORS {
            self.add(
                simulator,
                simulator,
                port_of(&self.options.ports, simulator),
            );
        }
        for name in self.names() {
            self.refresh_environment(&name, &[]);
        }
        Ok(())
    }

    fn add(&mut self, service: &str, name: &str, port: u16) {
        let url = format!("http://127.0.0.1:{port}");
        let probe = match service {
            "mail-sim" => Probe::Mail {
                http: format!("{url}/api/messages"),
                smtp: self.options.ports.smtp,
            },
            _ => Probe::Http(format!("{url}/readyz")),
        };
        let spec = Spec {
            program: self.options.bin_dir.join(service),
            args: Vec::new(),
            env: Vec::new(),
            log: self
                .options
                .run_dir
                .join("logs")
                .join(format!("{name}.log")),
            run_dir: self.options.run_dir.clone(),
            owner: None,
        };
        let mut server = Server::new(name, url, port, spec, probe);
        if service == "mail-sim" {
            server.ports.push(self.options.ports.smtp);
        }
        self.servers.insert(name.to_owned(), server);
    }

    /// Builds the environment of one process anew; `extra` wins over everything else.
    fn refresh_environment(&mut self, name: &str, extra: &[(&str, &str)]) {
        let service = service_of(name);
        let upstreams = |service: &str| {
            let of_service = self
                .servers
                .iter()
                .filter(|(name, _)| service_of(name) == service);
            of_service.map(|(_, server)| server.url.clone()).collect()
        };
        let facts = Facts {
            ports: &self.options.ports,
            secrets: &self.secrets,
            run_dir: &self.options.run_dir,
            database_url: &self.database_url(),
            redis_url: &self.options.backends.redis_url,
            brokers: &self.options.backends.brokers,
            topic_prefix: &self.options.topic_prefix,
            partitions: self.options.partitions,
            limits: self.options.limits,
            durable: !self.options.throwaway,
            upstreams: &upstreams,
        };
        let mut env = facts.of(service, name, self.servers[name].port());
        for key in ["*", service, name] {
            env.extend(self.options.env.get(key).into_iter().flatten().cloned());
        }
        env.extend(
            extra
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        );
        self.server(name).spec.env = env;
    }

    /// Starts every process that does not run: simulators and the services behind the gateway at once, the gateway when
    /// they are ready.
    pub fn start_everything(&mut self) -> Result<()> {
        let missing = self.names().into_iter();
        let missing: Vec<String> = missing
            .filter(|name| !self.server(name).is_running())
            .collect();
        let (gateways, others): (Vec<String>, Vec<String>) = missing
            .into_iter()
            .partition(|name| service_of(name) == "gateway");
        for group in [others, gateways] {
            for name in &group {
                self.server(name).spawn()?;
            }
            for name in &group {
                self.server(name).await_ready()?;
            }
        }
        Ok(())
    }

    /// Starts one process with further environment and waits until it is ready.
    pub fn start(&mut self, name: &str, extra: &[(&str, &str)]) -> Result<()> {
        self.refresh_environment(name, extra);
        self.server(name).start()
    }

    /// Starts the `n`th instance of a service; it must have been announced by [`Options::replicas`].
    pub fn start_replica(&mut self, service: &str, n: usize) -> Result<()> {
        self.start(&instance(service, n), &[])
    }

    /// Kills one process with SIGKILL and returns when it has gone.
    pub fn kill(&mut self, name: &str) {
        self.server(name).kill();
    }

    /// Asks one process to end, waits for it, and says how it ended.
    pub fn terminate(&mut self, name: &str) -> Option<ExitStatus> {
        self.server(name).stop()
    }

    /// Ends one process in an orderly way and starts it again, with the environment of the fleet.
    pub fn restart(&mut self, name: &str) -> Result<()> {
        self.terminate(name);
        self.start(name, &[])
    }

    /// Waits until a process ends by itself, at a crash point for instance.
    pub fn wait_for_exit(&mut self, name: &str) -> Result<ExitStatus> {
        self.server(name).wait_for_exit(EXIT_PATIENCE)
    }

    /// Makes an active demo campaign through the public API, or finds the one that is there; returns its id.
    pub fn seed(&self) -> Result<String> {
        demo_campaign(&self.gateway(), &self.secrets)
    }

    /// Ends everything in an orderly way, in reverse: the gateway, the services, the simulators, the backends.
    pub fn stop(&mut self) {
        for rank in 0..3 {
            self.end(rank);
        }
        self.discard(Backends::stop);
    }

    /// Ends the gateway in an orderly way, and then the services. Simulators and backends go on.
    pub fn stop_services(&mut self) {
        for rank in 0..2 {
            self.end(rank);
        }
    }

    /// Ends the processes of a rank in an orderly way: 0 is the gateway, 1 are the services, 2 the simulators.
    fn end(&mut self, rank: u8) {
        let of_rank = |name: &str| match service_of(name) {
            "gateway" => rank == 0,
            "psp-sim" | "mail-sim" => rank == 2,
            _ => rank == 1,
        };
        std::thread::scope(|scope| {
            for (_, server) in self.servers.iter_mut().filter(|(name, _)| of_rank(name)) {
                scope.spawn(|| server.stop());
            }
        });
    }

    /// Lets everything live on when this value is dropped.
    pub fn release(&mut self) {
        self.servers.values_mut().for_each(Server::release);
        self.options.backends.release();
    }

    /// The first process that has ended by itself since the last call, and how.
    pub fn next_death(&mut self) -> Option<(String, ExitStatus)> {
        let of_ours = self.servers.values_mut();
        of_ours
            .chain(self.options.backends.servers_mut())
            .find_map(|server| Some((server.name.clone(), server.died()?)))
    }

    /// An error naming the first port that somebody else holds.
    pub fn ensure_ports_free(ports: &Ports) -> Result<()> {
        for name in SERVICES.iter().chain(&SIMULATORS) {
            super::ports::ensure_free(name, port_of(ports, name))?;
        }
        super::ports::ensure_free("mail-sim", ports.smtp)
    }

    /// Ends the backends, and removes what a throwaway fleet has written.
    fn discard(&mut self, end: impl FnOnce(&mut Backends)) {
        let throwaway = std::mem::take(&mut self.options.throwaway);
        if throwaway && self.options.backends.postgres.is_none() {
            let _gone = bootstrap::drop_database(&self.database_url());
        }
        end(&mut self.options.backends);
        if throwaway {
            let _gone = remove_data(&self.options.run_dir);
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for server in self.servers.values_mut() {
            server.kill();
        }
        self.discard(Backends::kill);
    }
}
