//! `cargo xtask fill`: a past of finished donations for a fleet that does not run.
//!
//! The work is done by a program of its own, because this crate links no database and no broker driver.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Result, bail};

use crate::fleet::Profile;
use crate::{run, settings};

/// Options of `fill`.
#[derive(Clone, Debug, clap::Args)]
pub struct Fill {
    /// How many donations.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub payments: u64,
    /// Where the fleet keeps its data; without it, where `up` does.
    #[arg(long)]
    pub run_dir: Option<PathBuf>,
    /// Use a debug build, which is enough for a few thousand.
    #[arg(long)]
    pub debug: bool,
}

/// Builds the program, runs it, and returns how it ended.
pub fn fill(args: &Fill) -> Result<ExitStatus> {
    let root = settings::workspace_root()?;
    let profile = if args.debug {
        Profile::Dev
    } else {
        Profile::Release
    };
    let folder = profile.build(&root)?;
    run_in(&folder, args.payments, args.run_dir.as_deref())
}

/// Runs the program that was built into this folder.
pub(super) fn run_in(folder: &Path, payments: u64, run_dir: Option<&Path>) -> Result<ExitStatus> {
    let program = folder.join("fill");
    if !program.is_file() {
        bail!("cargo has built no {}", program.display());
    }
    let mut command = Command::new(program);
    command.args(["--payments", &payments.to_string()]);
    if let Some(run_dir) = run_dir {
        command.arg("--run-dir").arg(run_dir);
    }
    run::attached(&mut command)
}
