//! `cargo xtask load`: what the platform can take on this machine, in one table.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{audit, fill};
use crate::fleet::Profile;
use crate::fleet::state::State;
use crate::load::{self, Settings, Stored};
use crate::{run, settings, ui};

/// How far the ports of a second fleet are from those of the first.
const BESIDE: &str = "1000";

/// Options of `load`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Load {
    /// Connections of the closed loops.
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// Donors at work at once, and connections that webhooks come over
    #[arg(long, default_value_t = 128)]
    pub crowd: usize,
    /// Length of each phase, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Whole donations per second while the way from capture to total is timed.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub donations: u32,
    /// The same once more, faster.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub fast_donations: u32,
    /// Webhooks, each of another payment, that are sent back to back.
    #[arg(long, default_value_t = 20_000)]
    pub webhooks: usize,
    /// Captures per second of one campaign.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub viral: u32,
    /// Compare an empty fleet with one that has so many payments, and time the audit of that; needs disk and minutes.
    #[arg(long)]
    pub stored: Option<u64>,
    /// Arrivals per second of the mix.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub mix: u32,
    /// Length of the mix, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub mix_seconds: u64,
    /// Measure a running debug build as well, though its speed says nothing.
    #[arg(long)]
    pub any_build: bool,
}

/// Measures the fleet that runs, or else one of its own with empty data; false where a promise was broken.
pub fn load(args: &Load) -> Result<bool> {
    let root = settings::workspace_root()?;
    if cfg!(debug_assertions) && !args.any_build {
        return in_release(&root);
    }
    let run_dir = settings::run_dir(&root);
    load::ensure_wrk()?;
    if load::k6().is_none() {
        ui::warn("k6 is not installed; the mix will be skipped");
    }
    let running = State::read(&run_dir).filter(|fleet| {
        fleet
            .processes()
            .all(|(_, process)| process.identity().is_alive())
    });
    match running {
        Some(fleet) => {
            if !fleet.release && !args.any_build {
                bail!(
                    "the running fleet is a debug build, whose speed says nothing: `cargo xtask down`, then run this again"
                );
            }
            ui::done(&format!("measuring the fleet at {}", fleet.gateway));
            measure(&root, &run_dir, &run_dir, &fleet, args, None)
        }
        None => with_own_fleet(&root, &run_dir, args),
    }
}

/// The same command once more, by a release build of this program: donors and the platform share the processors, and what
/// the donors take is missing from the figures.
fn in_release(root: &Path) -> Result<bool> {
    let program = Profile::Release.build(root)?.join("xtask");
    let status = run::attached(Command::new(program).args(std::env::args_os().skip(1)))?;
    Ok(status.success())
}

/// A fleet in a run directory of its own, so that the data of `up` stays as it is.
fn with_own_fleet(root: &Path, run_dir: &Path, args: &Load) -> Result<bool> {
    let own = run_dir.join("load");
    Profile::Release.build(root)?;
    let began = Instant::now();
    let fleet = up(&own, &["--fresh"])?;
    let ready = began.elapsed().as_secs_f64();
    let measured = measure(root, run_dir, &own, &fleet, args, Some(ready));
    let ended = xtask(&own, &["down"]);
    let sound = measured?;
    ended.map(|()| sound)
}

/// The same calls on an empty fleet and on one that has many payments, and the audit of those.
fn stored(root: &Path, own: &Path, payments: u64, seconds: u64) -> Result<Stored> {
    ui::step(&format!("making up {payments} payments"));
    let programs = Profile::Release.build(root)?;
    // The services make their tables when they start.
    up(own, &["--fresh"])?;
    xtask(own, &["down"])?;
    let began = Instant::now();
    if !fill::run_in(&programs, payments, Some(own))?.success() {
        bail!("the payments could not be made up");
    }
    let fill_seconds = began.elapsed().as_secs_f64();
    // The disk has gigabytes to write yet, which no fleet has that grew so large day by day.
    run::captured(&mut Command::new("sync"))?;
    let began = Instant::now();
    let audited = audit::run_in(&programs, own)?;
    let audit_seconds = began.elapsed().as_secs_f64();
    ui::step("single calls, on the full fleet and on an empty one in turn");
    let beside = own.with_file_name("load-empty");
    let measured = up(own, &[]).and_then(|full| {
        let empty = up(&beside, &["--fresh", "--port-offset", BESIDE])?;
        load::compare([(&full, own), (&empty, &beside)], seconds)
    });
    // Where one of them never came up, there is nothing to end.
    let ended = xtask(own, &["down"]).and(xtask(&beside, &["down"]));
    let [full, empty] = measured?;
    ended?;
    Ok(Stored {
        payments,
        fill_seconds,
        empty,
        full,
        audit_seconds,
        audit_held: audited.success(),
    })
}

fn up(run_dir: &Path, more: &[&str]) -> Result<State> {
    xtask(run_dir, &[&["up", "--release", "--detach"], more].concat())?;
    State::read(run_dir).context("`up` left no fleet.json")
}

/// This program once more, for another run directory. By this link it is found even when a build has replaced its file.
fn xtask(run_dir: &Path, args: &[&str]) -> Result<()> {
    let mut command = Command::new("/proc/self/exe");
    let status = run::attached(command.args(args).env("CFA_RUN_DIR", run_dir))?;
    if !status.success() {
        bail!("`cargo xtask {}` failed ({status})", args.join(" "));
    }
    Ok(())
}

fn measure(
    root: &Path,
    run_dir: &Path,
    fleet_dir: &Path,
    fleet: &State,
    args: &Load,
    ready: Option<f64>,
) -> Result<bool> {
    let settings = Settings {
        connections: args.connections,
        crowd: args.crowd,
        seconds: args.seconds,
        donations: args.donations,
        fast_donations: args.fast_donations,
        webhooks: args.webhooks,
        viral: args.viral,
        mix: args.mix,
        mix_seconds: args.mix_seconds,
    };
    let mut report = load::run(root, fleet_dir, fleet, &settings, ready)?;
    if let (Some(payments), Some(_own)) = (args.stored, ready) {
        xtask(fleet_dir, &["down"])?;
        report.stored = Some(stored(root, fleet_dir, payments, args.seconds)?);
    }
    let file = run_dir.join("load.json");
    std::fs::write(&file, serde_json::to_string_pretty(&report)? + "\n")
        .with_context(|| format!("cannot write {}", file.display()))?;
    ui::say(&format!(
        "\n{}\n\nthe same as JSON: {}",
        report.table(),
        file.display()
    ));
    Ok(report.is_sound())
}
