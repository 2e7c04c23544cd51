//! `chaos --seed N --seconds S`: one run; `cargo xtask chaos` builds everything and calls it.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Parser;
use proof::chaos::{self, Plan};
use xtask::{
    fleet::{Lock, leftovers, remove_data},
    interrupt, settings, ui,
};

/// Breaks a fleet by a schedule while donors give, lets it heal, and audits it.
#[derive(Debug, Parser)]
struct Args {
    /// Where the random numbers begin.
    #[arg(long)]
    seed: u64,
    /// How long donors give, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(3..=86_400))]
    seconds: u64,
    /// How many donors give at the same time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1000))]
    donors: u64,
    /// Print the schedule of this seed, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Put PostgreSQL back, once, to a copy that is so many seconds old by then; 20 where no number is given. Donors give
    /// until it is that old.
    #[arg(long, num_args = 0..=1, default_missing_value = "20", value_parser = clap::value_parser!(u64).range(1..=3600))]
    restore: Option<u64>,
    /// Do without this guard, to see the run go red; debug builds only.
    #[arg(long)]
    without: Option<String>,
}

fn main() -> ExitCode {
    match interrupt::listen().and_then(|()| run(&Args::parse())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            ui::fail(&error);
            ExitCode::from(if interrupt::asked() { 130 } else { 2 })
        }
    }
}

/// Whether every promise was kept.
fn run(args: &Args) -> Result<bool> {
    let length = Duration::from_secs(args.seconds);
    let mut plan = Plan {
        donors: args.donors,
        without: args.without.clone(),
        ..Plan::new(args.seed, length)
    };
    if let Some(age) = args.restore {
        plan = plan.restoring(Duration::from_secs(age));
    }
    if plan.length > length {
        let seconds = plan.length.as_secs_f64().ceil();
        ui::say(&format!(
            "Donors give for {seconds} s, until the copy is old enough."
        ));
    }
    let schedule = plan.schedule();
    ui::say(&format!("The schedule of seed {}:\n{schedule}", args.seed));
    if args.dry_run {
        return Ok(true);
    }
    let root = settings::workspace_root()?;
    let run_dir = settings::run_dir(&root).join("chaos");
    let Some(_lock) = Lock::take(&run_dir)? else {
        bail!("another chaos run goes on in this checkout");
    };
    leftovers::sweep(&run_dir, Duration::ZERO);
    remove_data(&run_dir)?;
    let _absent = std::fs::remove_dir_all(run_dir.join("logs"));
    // The services of the same build lie beside this program.
    let program = std::env::current_exe()?;
    let bin_dir = program.parent().context("a program lies in a folder")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    ui::step("starting a fleet");
    let ended = runtime.block_on(async {
        let options = chaos::place(&run_dir, bin_dir.to_owned())?;
        chaos::run(options, &plan).await
    });
    leftovers::sweep(&run_dir, Duration::ZERO);
    let outcome = ended?;
    let held = outcome.held();
    if !held {
        let dir = run_dir.display();
        ui::say(&format!("\nlogs, journal and data are in {dir}"));
    }
    ui::say(&outcome.to_string());
    Ok(held)
}
