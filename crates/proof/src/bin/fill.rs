//! `cargo xtask fill`: gives a stopped fleet a past of finished donations.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use chassis::clock::Clock;
use clap::Parser;
use proof::{
    audit::Held,
    fill::{self, Plan},
};
use tokio::runtime::Builder;
use xtask::{interrupt, settings, ui};

/// Gives a fleet that does not run a past of finished donations.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask fill")]
struct Arguments {
    /// How many.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    payments: u64,
    /// To how many campaigns.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    campaigns: u64,
    /// Where the fleet keeps its data; without it, where `cargo xtask up` does.
    #[arg(long)]
    run_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match interrupt::listen().and_then(|()| run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::fail(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let run_dir = match arguments.run_dir {
        Some(run_dir) => std::path::absolute(run_dir)?,
        None => settings::run_dir(&settings::workspace_root()?),
    };
    let held = Held::find(&run_dir, None)?;
    if held.running {
        bail!("the fleet is running, and would work through all of it: `cargo xtask down` first");
    }
    let plan = Plan::new(
        arguments.payments,
        arguments.campaigns,
        Clock::system().now(),
    );
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let filled = runtime.block_on(async {
        tokio::select! {
            filled = fill::fill(&held.sources, plan) => filled.context("the fill is not whole; start over with `up --fresh`"),
            () = asked_to_end() => bail!("interrupted; the fill is not whole, start over with `up --fresh`"),
        }
    });
    drop(held);
    let filled = filled?;
    ui::done(&format!(
        "{} donations: {} rows, {} records and {} lines of the provider's in {:.0} s",
        arguments.payments,
        filled.rows,
        filled.records,
        filled.lines,
        filled.took.as_secs_f64()
    ));
    Ok(())
}

async fn asked_to_end() {
    while !interrupt::asked() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
