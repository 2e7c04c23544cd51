//! Where cargo puts our programs, and how to have them built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{run, settings};

/// How our programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build, with crash points.
    Dev,
    /// Quick to run.
    Release,
}

impl Profile {
    /// The directory below the target directory.
    pub fn dir(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }

    /// Builds all services and simulators and returns the directory that they are in. Cargo shows its own progress.
    pub fn build(self, root: &Path) -> Result<PathBuf> {
        let mut command = cargo(root);
        // The whole workspace, as the tests build it: another selection of packages means other features of what they
        // share, and every dependency compiled twice.
        command.args(["build", "--workspace", "--bins"]);
        if self == Self::Release {
            command.arg("--release");
        }
        let status = run::attached(&mut command)?;
        if !status.success() {
            bail!("the build failed; cargo's messages are above");
        }
        Ok(target_dir(root)?.join(self.dir()))
    }
}

/// Cargo in the workspace, as the cargo that started us, but without what that told us of this package: build scripts
/// that look at it would take each build for another one than the same build by hand, and compile all over again.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new(settings::var("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    command.current_dir(root);
    for name in settings::of_our_package() {
        command.env_remove(name);
    }
    command
}

/// Where cargo puts what it builds.
pub fn target_dir(root: &Path) -> Result<PathBuf> {
    let metadata =
        run::captured(cargo(root).args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .context("cargo metadata names no target directory")
}
