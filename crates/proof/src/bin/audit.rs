//! `cargo xtask audit`: asks every witness of a fleet, and says what does not agree.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::Parser;
use proof::audit::{self, Held, Lost, Report};
use tokio::runtime::Builder;
use xtask::{interrupt, settings, ui};

/// Compares what the provider, the databases, the topics, the mailbox and the logs of a fleet say.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask audit")]
struct Arguments {
    /// Where the fleet keeps its data; without it, where `cargo xtask up` does.
    #[arg(long)]
    run_dir: Option<PathBuf>,
    /// What donors were told, one JSON object per line.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// The time that the database has forgotten, where it was put back to an older copy: when the copy was begun, and when
    /// the database went away.
    #[arg(long, num_args = 2, value_names = ["SINCE", "UNTIL"])]
    forgotten: Option<Vec<DateTime<Utc>>>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match interrupt::listen().and_then(|()| run(arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            ui::fail(&error);
            ExitCode::FAILURE
        }
    }
}

/// Whether everything agrees.
fn run(arguments: Arguments) -> Result<bool> {
    let run_dir = match arguments.run_dir {
        Some(run_dir) => std::path::absolute(run_dir)?,
        None => settings::run_dir(&settings::workspace_root()?),
    };
    let mut held = Held::find(&run_dir, arguments.journal)?;
    if let Some([since, until]) = arguments.forgotten.as_deref() {
        let (since, until) = (*since, *until);
        held.sources.lost = Some(Lost { since, until });
    }
    if !held.running {
        ui::step("nothing runs; asking the data that are left");
    }
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = audit::audit(&held.sources) => report.context("the audit could not be made"),
            () = asked_to_end() => bail!("interrupted"),
        }
    });
    drop(held);
    let report: Report = report?;
    ui::say(&report.to_string());
    Ok(report.holds())
}

async fn asked_to_end() {
    while !interrupt::asked() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
