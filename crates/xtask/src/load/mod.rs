//! What the platform can take, measured against a running fleet of release builds.
//!
//! Every figure comes with what it needs to be believed: the totals must be exactly right at the end of each donation
//! phase, PostgreSQL's own client does the same work in the same minute, and the machine is named.

mod arrivals;
mod backlog;
mod capture;
mod client;
mod donations;
mod lag;
mod latency;
mod machine;
mod mix;
mod overload;
mod pgbench;
mod rebuild;
mod report;
mod signed;
mod standing;
mod watch;
mod webhooks;
mod wire;
mod wrk;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::fleet::Psql;
use crate::fleet::state::State;
use crate::ui;

pub use mix::program as k6;
pub use report::Report;
pub use standing::{Standing, Stored, compare};
pub use wrk::check as ensure_wrk;

/// Campaigns that whole donations go to.
const CAMPAIGNS: usize = 32;
/// How often the first phase runs before it counts.
const WARM_UPS: u32 = 3;

/// How hard, and for how long.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Settings {
    /// Connections of every closed loop.
    pub connections: usize,
    /// Donors at work at once, and connections of a provider that has much to tell.
    pub crowd: usize,
    /// Length of each phase but the mix, in seconds.
    pub seconds: u64,
    /// Whole donations per second while the way from capture to total is timed.
    pub donations: u32,
    /// The same once more, faster.
    pub fast_donations: u32,
    /// Webhooks, each of another payment, that are sent back to back.
    pub webhooks: usize,
    /// Captures per second of one campaign.
    pub viral: u32,
    /// Arrivals per second of the mix.
    pub mix: u32,
    /// Length of the mix, in seconds.
    pub mix_seconds: u64,
}

impl Settings {
    /// A closed loop as long and wide as each of them.
    fn usual(&self) -> wrk::Loop {
        wrk::Loop {
            connections: self.connections,
            seconds: self.seconds,
        }
    }
}

/// Runs every phase, one after the other, and each only once the one before has been worked off.
pub fn run(
    root: &Path,
    run_dir: &Path,
    fleet: &State,
    settings: &Settings,
    ready: Option<f64>,
) -> Result<Report> {
    let machine = machine::Machine::look(root, fleet)?;
    ui::step("warming up");
    warm_up(root, fleet, settings)?;
    ui::step("pledges through the gateway");
    let pledges = wrk::drive(root, "pledges", fleet, settings.usual())?;
    ui::step("waiting until every event is published and every pledge has its payment");
    let drain = backlog::drain(fleet)?;
    ui::step("pgbench with the same rows");
    let yardstick = pgbench::drive(root, fleet, settings)?;
    ui::step("totals through the gateway");
    let totals = wrk::drive(root, "totals", fleet, settings.usual())?;
    ui::step("far more pledges than fit, and as many as fit after that");
    let overload = overload::drive(root, fleet, settings)?;
    backlog::drain(fleet)?;
    let campaigns = capture::open_campaigns(fleet, CAMPAIGNS)?;
    let timed = |rate| {
        ui::step(&format!(
            "{rate} whole donations a second, each timed until it is in the total"
        ));
        capture::drive(fleet, &campaigns, rate, settings.seconds)
    };
    let captures = timed(settings.donations)?;
    let fast_captures = timed(settings.fast_donations)?;
    ui::step("whole donations back to back");
    let donations = donations::drive(fleet, settings)?;
    backlog::drain(fleet)?;
    ui::step("webhooks of payments that wait for them");
    let webhooks = webhooks::drive(fleet, run_dir, &campaigns, settings)?;
    ui::step(&format!(
        "{} captures a second of one campaign",
        settings.viral
    ));
    let viral = webhooks::viral(
        fleet,
        run_dir,
        &campaigns[0],
        settings.viral,
        settings.seconds,
    )?;
    backlog::drain(fleet)?;
    let mix = if let Some(k6) = mix::program() {
        ui::step(&format!("the mix at {} a second, by k6", settings.mix));
        Some(mix::drive(&k6, root, run_dir, fleet, settings)?)
    } else {
        ui::warn("k6 is not installed, so the mix is skipped: `go install go.k6.io/k6@latest`");
        None
    };
    let resident = machine::resident(fleet);
    ui::step("all totals built anew");
    let rebuild = rebuild::drive(fleet);
    if let Err(error) = &rebuild {
        ui::warn(&format!("the totals could not be built anew: {error:#}"));
    }
    Ok(Report {
        machine,
        settings: *settings,
        ready_seconds: ready,
        pledges,
        drain,
        yardstick,
        totals,
        overload,
        captures,
        fast_captures,
        donations,
        webhooks,
        viral,
        rebuild: rebuild.ok(),
        mix,
        resident,
        stored: None,
    })
}

/// Brings the servers to where they are after an hour of work: Kafka's virtual machine has compiled what it runs often,
/// and PostgreSQL writes its log over old segments instead of filling new ones with zeros while every commit waits.
fn warm_up(root: &Path, fleet: &State, settings: &Settings) -> Result<()> {
    for _ in 0..WARM_UPS {
        wrk::drive(root, "pledges", fleet, settings.usual())?;
    }
    donations::drive(fleet, settings)?;
    backlog::drain(fleet)?;
    if let Err(error) = psql(fleet)?.query("checkpoint") {
        ui::warn(&format!("PostgreSQL's log stays as it is: {error:#}"));
    }
    Ok(())
}

/// SQL in the fleet's database, as its superuser.
fn psql(fleet: &State) -> Result<Psql> {
    Psql::new(&fleet.database_url.parse()?)
}
