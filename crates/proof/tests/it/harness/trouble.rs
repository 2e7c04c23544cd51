//! What the rough fleet goes through.

use std::{
    os::unix::process::ExitStatusExt,
    sync::{MutexGuard, PoisonError},
};

use proof::audit::behind;
use testkit::eventually;
use tokio::task::block_in_place;
use xtask::fleet::{Backends, Fleet, Server};

use super::world::World;

const ABORT_AT: &str = "CFA_ABORT_AT";
/// SIGABRT, by which a process ends at a crash point.
const ABORTED: i32 = 6;

/// Processes that run only where a test starts them.
const SPARES: [&str; 2] = ["pledge-2", "totals-2"];

impl World {
    /// Kills a process as a power cut would.
    pub fn kill(&self, name: &str) {
        block_in_place(|| self.fleet().kill(name));
    }

    /// Starts a process, without any crash point.
    pub fn start_again(&self, name: &str) {
        self.start_with(name, &[]);
    }

    /// Restarts a service so that it dies at a crash point. Nothing must be on its way, or it dies too early.
    pub async fn arm(&self, name: &str, failpoint: &str) {
        self.until_quiet().await;
        self.rearm(name, failpoint);
    }

    /// The same at once.
    pub fn rearm(&self, name: &str, failpoint: &str) {
        block_in_place(|| {
            let mut fleet = self.fleet();
            fleet.terminate(name);
            fleet.start(name, &[(ABORT_AT, failpoint)])
        })
        .unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Waits until an armed service has died at its crash point.
    pub fn until_dead(&self, name: &str) {
        let status = block_in_place(|| self.fleet().wait_for_exit(name))
            .unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(
            status.signal(),
            Some(ABORTED),
            "{name} ended otherwise: {status}"
        );
    }

    /// The process id of a process.
    pub fn pid(&self, name: &str) -> Option<i32> {
        self.fleet().pid(name)
    }

    /// Kills PostgreSQL, Redis or Kafka.
    pub fn stop_backend(&self, which: fn(&mut Backends) -> &mut Server) {
        block_in_place(|| which(self.fleet().backends()).kill());
    }

    /// Starts it again, with its data.
    pub fn start_backend(&self, which: fn(&mut Backends) -> &mut Server) {
        block_in_place(|| which(self.fleet().backends()).start())
            .unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Waits until nothing is on its way: every webhook is taken, every event published, and every event consumed.
    pub async fn until_quiet(&self) {
        let sources = self.sources();
        eventually("nothing is on its way", async || {
            let still = self.provider.is_idle().await
                && self.outbox_rows().await? == 0
                && behind(&sources).await.ok()?.is_empty()
                && self.outbox_rows().await? == 0;
            still.then_some(())
        })
        .await;
    }

    /// How many events wait to be published; nothing while the database is away.
    pub async fn outbox_rows(&self) -> Option<i64> {
        sqlx::query_scalar(
            "select (select count(*) from users.outbox) + (select count(*) from campaign.outbox)
                  + (select count(*) from pledge.outbox) + (select count(*) from payment.outbox)
                  + (select count(*) from totals.outbox)",
        )
        .fetch_one(&self.db)
        .await
        .ok()
    }

    /// Sets everything right that the test before has left.
    pub(super) async fn heal(&self) {
        self.thaw_all();
        block_in_place(|| self.start_what_is_down()).unwrap_or_else(|error| panic!("{error:#}"));
        self.provider.resume().await;
    }

    fn start_what_is_down(&self) -> anyhow::Result<()> {
        let mut fleet = self.fleet();
        for server in fleet.backends().servers_mut() {
            if !server.is_running() {
                server.start()?;
            }
        }
        for name in fleet.names() {
            let spare = SPARES.contains(&name.as_str());
            let altered = self.altered(|altered| altered.remove(&name));
            let server = fleet.server(&name);
            let armed = server
                .spec
                .env
                .iter()
                .any(|(variable, _)| variable == ABORT_AT);
            if armed || spare {
                server.kill();
            } else if altered {
                server.stop();
            }
            if !spare && !server.is_running() {
                fleet.start(&name, &[])?;
            }
        }
        Ok(())
    }

    pub(super) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
