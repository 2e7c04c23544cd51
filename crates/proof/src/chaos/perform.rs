//! Does what the schedule says, starts again what has died, and heals everything at the end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::runtime::Handle;
use xtask::{
    fleet::{Backends, Fleet, Server},
    interrupt, ui,
};

use super::{
    deaths::{Death, Watch},
    proxy::Cut,
    restore,
    schedule::{Kind, Schedule, Window},
    world::World,
};
use crate::audit::Lost;

/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long the provider's simulator may take to hear of a fault. The others wait for that: it may be stopped.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whoever disturbs, and puts right.
pub(super) struct Performer<'a> {
    world: &'a World,
    client: reqwest::Client,
    began: Instant,
    /// Processes that ended without being asked to, and how.
    pub(super) deaths: Vec<Death>,
    watch: Watch,
    /// What the database has forgotten, once it was put back to a copy.
    pub(super) lost: Option<Lost>,
    /// Since when the copy of the database is too old.
    copied_at: Option<DateTime<Utc>>,
    /// Whether the services recover after the database was put back.
    recovers: bool,
}

impl<'a> Performer<'a> {
    /// Somebody who counts the time from now on; `recovers` says whether services may recover from a database that was
    /// put back.
    pub(super) fn new(world: &'a World, recovers: bool) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        Ok(Self {
            world,
            client: client.build()?,
            began: Instant::now(),
            deaths: Vec::new(),
            watch: Watch::default(),
            lost: None,
            copied_at: None,
            recovers,
        })
    }

    /// Performs the schedule; takes until `length` has passed. Blocks.
    ///
    /// # Errors
    /// When a process cannot be started again, or the user wants us to end.
    pub(super) fn perform(&mut self, schedule: &Schedule, length: Duration) -> Result<()> {
        let begins = schedule.0.iter().map(|window| (window.at, true, window));
        let ends = schedule
            .0
            .iter()
            .map(|window| (window.ends(), false, window));
        let mut steps: Vec<_> = begins.chain(ends).collect();
        steps.sort_by_key(|(at, ..)| *at);
        for (at, is_begin, window) in steps {
            self.watch_until(at)?;
            if is_begin {
                self.say(&window.to_string());
                self.begin(window)?;
            } else {
                self.end(window)?;
            }
        }
        self.watch_until(length)
    }

    /// Puts everything right, and waits until all processes are ready. Blocks.
    ///
    /// # Errors
    /// When a process does not get ready.
    pub(super) fn heal(&mut self) -> Result<()> {
        for proxy in self.world.proxies.values() {
            proxy.heal();
        }
        while self.see_death().is_some() {}
        let mut fleet = self.world.fleet();
        for server in fleet.backends().servers_mut() {
            wake(server)?;
        }
        for server in fleet.backends().servers_mut() {
            server.await_ready()?;
        }
        for server in fleet.servers_mut() {
            wake(server)?;
        }
        for server in fleet.servers_mut() {
            server.await_ready()?;
        }
        drop(fleet);
        self.tell_provider(None)
            .context("the provider's simulator keeps its faults")
    }

    /// Has the provider misbehave, or behave again. Blocks.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(super) fn tell_provider(&self, faults: Option<&Value>) -> Result<()> {
        let url = format!("{}/_sim/faults", self.world.provider);
        let request = match faults {
            Some(faults) => self.client.post(url).json(faults),
            None => self.client.delete(url),
        };
        let sent = Handle::current().block_on(request.send());
        sent?.error_for_status()?;
        Ok(())
    }

    fn begin(&mut self, window: &Window) -> Result<()> {
        let mut fleet = self.world.fleet();
        match window.kind {
            Kind::Kill => fleet.kill(window.target),
            Kind::Freeze => signal(&mut fleet, window.target, Signal::SIGSTOP),
            Kind::Postgres | Kind::Redis | Kind::Kafka => {
                server(window.kind, &mut fleet).kill();
                if window.kind == Kind::Postgres {
                    self.watch.database_goes();
                }
            }
            Kind::CutReply => self.cut(window, Cut::Reply),
            Kind::CutMiddle => self.cut(window, Cut::Middle),
            Kind::Restore => {
                drop(fleet);
                self.copied_at = Some(restore::copy(self.world)?);
            }
            Kind::Webhooks | Kind::Silence => {
                drop(fleet);
                if self.tell_provider(Some(&window.faults())).is_err() {
                    self.say("the provider's simulator is away, and did not hear of its faults");
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, window: &Window) -> Result<()> {
        let mut fleet = self.world.fleet();
        match window.kind {
            // Whether they get ready is seen at the end; others may have been made to fail meanwhile.
            Kind::Kill => {
                fleet.server(window.target).spawn()?;
                self.watch.starts(window.target);
            }
            Kind::Freeze => signal(&mut fleet, window.target, Signal::SIGCONT),
            Kind::Postgres | Kind::Redis | Kind::Kafka => {
                server(window.kind, &mut fleet).spawn()?;
                if window.kind == Kind::Postgres {
                    self.watch.database_comes();
                }
            }
            Kind::CutReply | Kind::CutMiddle => self.world.proxies[window.target].heal(),
            Kind::Webhooks | Kind::Silence => {
                drop(fleet);
                // Where it is away, its next start forgets them.
                let _away = self.tell_provider(None);
            }
            Kind::Restore => {
                drop(fleet);
                self.say("go back to the copy");
                let since = self.copied_at.context("there is no copy")?;
                self.lost = Some(restore::put_back(self.world, since, self.recovers)?);
                self.say("everybody is back");
            }
        }
        Ok(())
    }

    fn cut(&self, window: &Window, how: Cut) {
        self.world.proxies[window.target].cut(how, window.seed);
    }

    /// Starts again what has ended by itself, until the time has come.
    fn watch_until(&mut self, at: Duration) -> Result<()> {
        while self.began.elapsed() < at {
            interrupt::check()?;
            if let Some(name) = self.see_death() {
                start_again(&mut self.world.fleet(), &name)?;
                self.watch.starts(&name);
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Notes a process that has ended by itself.
    pub(super) fn see_death(&mut self) -> Option<String> {
        let (name, status) = self.world.fleet().next_death()?;
        let death = self.watch.death(&name, status);
        self.say(&death.to_string());
        self.deaths.push(death);
        Some(name)
    }

    fn say(&self, what: &str) {
        let at = self.began.elapsed().as_secs_f64();
        ui::say(&format!("  {at:5.1} s  {what}"));
    }
}

fn server(kind: Kind, fleet: &mut Fleet) -> &mut Server {
    let backends: &mut Backends = fleet.backends();
    match kind {
        Kind::Postgres => backends.postgres(),
        Kind::Redis => backends.redis(),
        _ => backends.kafka(),
    }
}

fn start_again(fleet: &mut Fleet, name: &str) -> Result<()> {
    let mut backends = fleet.backends().servers_mut();
    if let Some(server) = backends.find(|server| server.name == name) {
        return server.spawn();
    }
    drop(backends);
    fleet.server(name).spawn()
}

fn signal(fleet: &mut Fleet, name: &str, signal: Signal) {
    if let Some(process) = fleet.server(name).identity() {
        process.signal(signal);
    }
}

/// A process that was stopped goes on, one that is away is started.
fn wake(server: &mut Server) -> Result<()> {
    if server.is_running() {
        if let Some(process) = server.identity() {
            process.signal(Signal::SIGCONT);
        }
        return Ok(());
    }
    server.spawn()
}
