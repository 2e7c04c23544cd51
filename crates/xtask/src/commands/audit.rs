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
    run_in(&folder, args.run_dir.as_deref(), args.journal.as_deref())
}

/// Runs the program that was built into this folder.
pub(super) fn run_in(
    folder: &Path,
    run_dir: Option<&Path>,
    journal: Option<&Path>,
) -> Result<ExitStatus> {
    let program = folder.join("audit");
    if !program.is_file() {
        bail!("cargo has built no {}", program.display());
    }
    let mut command = Command::new(program);
    let options = [("--run-dir", run_dir), ("--journal", journal)];
    for (name, path) in options {
        if let Some(path) = path {
            command.arg(name).arg(path);
        }
    }
    run::attached(&mut command)
}
