//! `cargo xtask up`: everything, running, on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};

use super::{down, follow};
use crate::fleet::state::State;
use crate::fleet::{
    Attach, BackendOptions, BackendPorts, Backends, Fleet, Lock, Options, Ports, Profile, Secrets,
    install, leftovers, ports, remove_data,
};
use crate::{interrupt, settings, ui};

/// Options of `up`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of a command line, each of its own"
)]
#[derive(Clone, Debug, clap::Args)]
pub struct Up {
    /// Run release builds.
    #[arg(long)]
    pub release: bool,
    /// Return once everything is ready; `down` ends it.
    #[arg(long)]
    pub detach: bool,
    /// Start with empty data.
    #[arg(long)]
    pub fresh: bool,
    /// Rate limit requests from this machine as well.
    #[arg(long)]
    pub limits: bool,
    /// Move every port up by this number.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=40_000))]
    pub port_offset: u16,
}

/// Installs, builds, starts, seeds, and stays until ctrl-c; with `--detach` it returns instead.
pub fn up(args: &Up) -> Result<()> {
    let root = settings::workspace_root()?;
    let run_dir = settings::run_dir(&root);
    let _lock = claim(&run_dir)?;
    let attach = Attach::from_env();
    let ports = Ports::fixed(args.port_offset);
    let backend_ports = BackendPorts::fixed(args.port_offset);
    if args.fresh && attach != Attach::default() {
        bail!(
            "--fresh empties only what `up` has started; empty your own servers yourself, or unset DATABASE_URL, REDIS_URL and KAFKA_BROKERS"
        );
    }
    Fleet::ensure_ports_free(&ports)?;
    ensure_backend_ports_free(&backend_ports, &attach)?;
    install::ensure_fleet(&attach)?;

    let profile = if args.release {
        Profile::Release
    } else {
        Profile::Dev
    };
    ui::step("building the services");
    let bin_dir = profile.build(&root)?;
    ui::done("built");

    let began = Instant::now();
    if args.fresh {
        remove_data(&run_dir)?;
        ui::done("emptied the data of the last time");
    }
    keep_previous_logs(&run_dir)?;
    let backends = start_backends(args, &run_dir, attach, backend_ports)?;
    let mut fleet = start_services(args, root, &run_dir, bin_dir, ports, backends)?;
    let campaign = fleet.seed()?;
    let state = State::of(&fleet, &campaign, args.release, args.detach);
    state.write(&run_dir)?;
    ui::done(&format!(
        "ready after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    welcome(&state, &run_dir);

    if args.detach {
        fleet.release();
        ui::say("\n`cargo xtask down` ends it.");
        return Ok(());
    }
    ui::say("\nctrl-c ends it. The logs follow.\n");
    follow::until_interrupted(&mut fleet);
    ui::step("stopping");
    fleet.stop();
    State::remove(&run_dir);
    ui::done("stopped; the data stays for the next `up`");
    Ok(())
}

/// Gets the lock of the run directory and clears away what a killed `up` has left.
fn claim(run_dir: &Path) -> Result<Lock> {
    let state = State::read(run_dir);
    let Some(lock) = Lock::take(run_dir)? else {
        match state {
            Some(state) => bail!(
                "already running at {}; `cargo xtask down` ends it",
                state.gateway
            ),
            None => bail!("another `cargo xtask up` is starting; `cargo xtask down` ends it"),
        }
    };
    if let Some(state) = state.filter(|state| state.detached) {
        let ended: Vec<&str> = state
            .processes()
            .filter(|(_, entry)| !entry.identity().is_alive())
            .map(|(name, _)| name.as_str())
            .collect();
        if ended.is_empty() {
            bail!(
                "already running at {}; `cargo xtask down` ends it",
                state.gateway
            );
        }
        if ended.len() < state.processes().count() {
            bail!(
                "already running at {}, but {} ended by itself, see {}; `cargo xtask down` ends the rest",
                state.gateway,
                ended.join(", "),
                run_dir.join("logs").display()
            );
        }
    }
    let stopped = leftovers::sweep(run_dir, down::GRACE);
    if !stopped.is_empty() {
        ui::warn(&format!(
            "the last `up` was killed; stopped what it had left: {}",
            stopped.join(", ")
        ));
    }
    State::remove(run_dir);
    Ok(lock)
}

fn ensure_backend_ports_free(p: &BackendPorts, attach: &Attach) -> Result<()> {
    let wanted = [
        (attach.database_url.is_none(), "PostgreSQL", p.postgres),
        (attach.redis_url.is_none(), "Redis", p.redis),
        (attach.kafka.is_none(), "Kafka", p.kafka),
        (attach.kafka.is_none(), "Kafka's controller", p.controller),
    ];
    wanted
        .iter()
        .filter(|(wanted, ..)| *wanted)
        .try_for_each(|(_, name, port)| ports::ensure_free(name, *port))
}

/// The logs of the last time are kept once.
fn keep_previous_logs(run_dir: &Path) -> Result<()> {
    let (logs, previous) = (run_dir.join("logs"), run_dir.join("logs.previous"));
    if logs.is_dir() {
        let _absent = fs::remove_dir_all(&previous);
        fs::rename(&logs, &previous)?;
    }
    Ok(())
}

fn start_backends(
    args: &Up,
    run_dir: &Path,
    attach: Attach,
    ports: BackendPorts,
) -> Result<Backends> {
    let secrets = Secrets::load_or_create(&run_dir.join("secrets"))?;
    for (own, name) in [
        (&attach.database_url, "PostgreSQL (DATABASE_URL)"),
        (&attach.redis_url, "Redis (REDIS_URL)"),
        (&attach.kafka, "Kafka (KAFKA_BROKERS)"),
    ] {
        if own.is_some() {
            ui::done(&format!("using your own {name}"));
        }
    }
    if !attach.is_complete() {
        ui::step("starting PostgreSQL, Redis and Kafka");
    }
    let backends = Backends::start(&BackendOptions {
        run_dir: run_dir.to_owned(),
        ports,
        durable: true,
        brief: false,
        kafka_heap_mb: if args.release { 512 } else { 256 },
        password: Some(secrets.postgres),
        attach,
    })?;
    for server in backends.servers() {
        ui::done(&format!("{} on port {}", server.name, server.port()));
    }
    interrupt::check()?;
    Ok(backends)
}

fn start_services(
    args: &Up,
    root: PathBuf,
    run_dir: &Path,
    bin_dir: PathBuf,
    ports: Ports,
    backends: Backends,
) -> Result<Fleet> {
    ui::step("starting the services");
    let own = backends.postgres.is_none();
    let database = if own {
        backends.database_url.database()
    } else {
        "careforall"
    }
    .to_owned();
    let fleet = Options {
        root,
        run_dir: run_dir.to_owned(),
        secrets_dir: run_dir.join("secrets"),
        bin_dir,
        ports,
        backends,
        database,
        throwaway: false,
        topic_prefix: String::new(),
        // One instance of each service reads them all here. More would only be more requests to the broker, which gets
        // one for each partition that a relay's round touches.
        partitions: 3,
        limits: args.limits,
        env: BTreeMap::new(),
        replicas: BTreeMap::new(),
    }
    .start()?;
    for server in fleet.servers() {
        ui::done(&format!("{} on port {}", server.name, server.port()));
    }
    Ok(fleet)
}

fn welcome(state: &State, run_dir: &Path) {
    ui::say(&format!(
        "
{}
    gateway       {}
    payment page  {}
    mailbox       {}/api/messages
    administrator {} (password in {})
    logs          {}

A donation; its answer holds the payment_url to open next:
    curl -s {}/api/pledges -H 'Content-Type: application/json' -H \"Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)\" \\
      -d '{{\"campaign_id\":\"{}\",\"amount\":{{\"amount\":2500,\"currency\":\"USD\"}},\"donor\":{{\"name\":\"Ada\",\"email\":\"ada@example.org\"}},\"visibility\":\"PUBLIC\",\"message\":\"Go!\"}}'
and the total:
    curl -s {}/api/campaigns/{}/totals",
        ui::paint(ui::Colour::Green, "CareForAll is up."),
        state.gateway,
        state.psp,
        state.mail,
        state.admin.email,
        State::path(run_dir).display(),
        run_dir.join("logs").display(),
        state.gateway,
        state.campaign_id,
        state.gateway,
        state.campaign_id,
    ));
}
