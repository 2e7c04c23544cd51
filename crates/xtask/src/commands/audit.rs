//! `cargo xtask audit`: whether everything that a fleet has left agrees.
//!
//! The work is done by a program of its own, because this crate links no database and no broker driver.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Result, bail};

use crate::fleet::Profile;
use crate::{run, settings};

/// Options of `audit`.
#[derive(Clone, Debug, clap::Args)]
pub struct Audit {
    /// Where the fleet keeps its data; without it, where `up` does.
    #[arg(long)]
    pub run_dir: Option<PathBuf>,
    /// What donors were told, one JSON object per line: `chaos` writes such a journal.
    #[arg(long)]
    pub journal: Option<PathBuf>,
    /// The time that the database has forgotten, in RFC 3339, where it was put back to an older copy: when the copy was
    /// begun, and when the database went away.
    #[arg(long, num_args = 2, value_names = ["SINCE", "UNTIL"])]
    pub forgotten: Option<Vec<String>>,
    /// Run a release build, which is worth building where there are many payments.
    #[arg(long)]
    pub release: bool,
}

/// Builds the audit, runs it, and returns how it ended.
pub fn audit(args: &Audit) -> Result<ExitStatus> {
    let root = settings::workspace_root()?;
    let profile = if args.release {
        Profile::Release
    } else {
        Profile::Dev
    };
    let folder = profile.build(&root)?;
    let mut command = program(&folder)?;
    let paths = [("--run-dir", &args.run_dir), ("--journal", &args.journal)];
    for (name, path) in paths {
        if let Some(path) = path {
            command.arg(name).arg(path);
        }
    }
    if let Some(times) = &args.forgotten {
        command.arg("--forgotten").args(times);
    }
    run::attached(&mut command)
}

/// Runs the program that was built into this folder on what lies in a run directory.
pub(super) fn run_in(folder: &Path, run_dir: &Path) -> Result<ExitStatus> {
    let mut command = program(folder)?;
    run::attached(command.arg("--run-dir").arg(run_dir))
}

fn program(folder: &Path) -> Result<Command> {
    let program = folder.join("audit");
    if !program.is_file() {
        bail!("cargo has built no {}", program.display());
    }
    Ok(Command::new(program))
}
