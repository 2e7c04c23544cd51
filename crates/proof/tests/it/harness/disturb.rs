//! Ways to disturb a process that leave it running: frozen, told to end, behind a proxy, with other settings.

use std::{
    collections::BTreeSet,
    process::ExitStatus,
    sync::PoisonError,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use proof::chaos::Proxy;
use reqwest::Response;
use tokio::task::block_in_place;
use xtask::fleet::{Backends, Server};

use super::{
    donor::{Gift, Wish},
    world::World,
};

impl World {
    /// Starts a process with further environment. The next test finds it as it was.
    pub fn start_with(&self, name: &str, extra: &[(&str, &str)]) {
        if !extra.is_empty() {
            self.altered(|altered| altered.insert(name.to_owned()));
        }
        block_in_place(|| self.fleet().start(name, extra))
            .unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Ends a process in an orderly way, where it runs, and starts it with further environment.
    pub fn restart_with(&self, name: &str, extra: &[(&str, &str)]) {
        self.terminate(name);
        self.start_with(name, extra);
    }

    /// Ends a process in an orderly way, and says how it ended.
    pub fn terminate(&self, name: &str) -> Option<ExitStatus> {
        block_in_place(|| self.fleet().terminate(name))
    }

    /// Tells a process to end, and does not wait for that.
    pub fn ask_to_end(&self, name: &str) {
        self.signal(name, Signal::SIGTERM);
    }

    /// Waits until a process that was told to end has ended; says how, and how long that took.
    pub fn until_ended(&self, name: &str) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let status = block_in_place(|| self.fleet().wait_for_exit(name))
            .unwrap_or_else(|error| panic!("{error:#}"));
        (status, began.elapsed())
    }

    /// Freezes a process: it keeps all that it has, and does nothing.
    pub fn freeze(&self, name: &str) {
        self.signal(name, Signal::SIGSTOP);
    }

    /// Has a frozen process go on.
    pub fn thaw(&self, name: &str) {
        self.signal(name, Signal::SIGCONT);
    }

    /// Freezes PostgreSQL, Redis or Kafka: connections stand, and nothing is answered.
    pub fn freeze_backend(&self, which: fn(&mut Backends) -> &mut Server) {
        let mut fleet = self.fleet();
        send(which(fleet.backends()), Signal::SIGSTOP);
    }

    /// Has it go on.
    pub fn thaw_backend(&self, which: fn(&mut Backends) -> &mut Server) {
        let mut fleet = self.fleet();
        send(which(fleet.backends()), Signal::SIGCONT);
    }

    /// Has everything go on that a test before has left frozen.
    pub(super) fn thaw_all(&self) {
        let mut fleet = self.fleet();
        for server in fleet.backends().servers() {
            send(server, Signal::SIGCONT);
        }
        for name in fleet.names() {
            send(fleet.server(&name), Signal::SIGCONT);
        }
    }

    /// Restarts a service with a proxy between it and the database. The proxy must outlive its part of the test.
    pub async fn behind_proxy(&self, name: &str) -> Proxy {
        let url = self.setting(name, "DATABASE_URL");
        let port = reqwest::Url::parse(&url).expect("a URL").port();
        let port = port.expect("the database's URL names a port");
        let proxy = Proxy::start(port).await.expect("a proxy starts");
        let through = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
        self.restart_with(name, &[("DATABASE_URL", &through)]);
        proxy
    }

    /// Where a process serves, without the gateway.
    pub fn url_of(&self, name: &str) -> String {
        self.fleet().url(name)
    }

    /// Sends a wish to one process of the pledge service, past the gateway.
    pub async fn send_to(&self, name: &str, wish: &Wish) -> Response {
        let request = self
            .client
            .post(format!("{}/api/pledges", self.url_of(name)))
            .header("idempotency-key", wish.key.to_string())
            .json(&wish.body);
        request.send().await.expect("the service answers")
    }

    /// Pledges at one process of the pledge service.
    pub async fn pledge_at(&self, name: &str, campaign: &str, amount: i64) -> Gift {
        let wish = Wish::new(campaign, amount);
        Gift::of(&wish, self.send_to(name, &wish).await).await
    }

    /// The sum of a counter of a process over all of its labels that hold `with`.
    pub async fn counter(&self, name: &str, metric: &str, with: &str) -> f64 {
        counted(&self.metrics(name).await, metric, with)
    }

    pub(super) fn altered<T>(&self, change: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        change(&mut self.altered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn setting(&self, name: &str, variable: &str) -> String {
        let mut fleet = self.fleet();
        let env = &fleet.server(name).spec.env;
        let set = env.iter().rev().find(|(known, _)| known == variable);
        set.unwrap_or_else(|| panic!("{name} has no {variable}"))
            .1
            .clone()
    }

    fn signal(&self, name: &str, signal: Signal) {
        let mut fleet = self.fleet();
        send(fleet.server(name), signal);
    }
}

/// The sum of a counter over all of its labels that hold `with`, in Prometheus' text.
pub fn counted(metrics: &str, metric: &str, with: &str) -> f64 {
    let lines = metrics.lines();
    lines
        .filter(|line| line.starts_with(metric) && line.contains(with))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

fn send(server: &Server, signal: Signal) {
    if let Some(process) = server.identity() {
        process.signal(signal);
    }
}
