//! Schemathesis, which reads an OpenAPI document and sends what it allows and what it does not.
//!
//! It is a package of Python's, kept outside the checkout; a machine without Python goes without it.

mod plan;
mod subject;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::fleet::stripe::python_package;
use crate::{run, settings, ui};

pub use subject::{Caller, Subject};

const VERSION: &str = "4.32.5";
/// Where tests find it.
const VARIABLE: &str = "CFA_SCHEMATHESIS";

/// How much is sent, and what it is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The same seed, the same requests.
    pub seed: u64,
    /// Requests that are drawn for each operation.
    pub examples: u32,
    /// Whether every boundary of every parameter is tried as well.
    pub boundaries: bool,
}

/// What it found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether every answer was as the document says.
    pub sound: bool,
    /// What it wrote.
    pub text: String,
}

/// The directory of the package.
pub fn library() -> Result<PathBuf> {
    python_package("schemathesis", VERSION)
}

/// What tests are told; nothing, by name, where it cannot be had.
pub fn judge() -> Option<(&'static str, PathBuf)> {
    match library() {
        Ok(path) => Some((VARIABLE, path)),
        Err(error) => {
            ui::warn(&format!("skipped, the test of schemathesis: {error:#}"));
            None
        }
    }
}

/// Examines a fleet as this caller. What it needs is written to `dir`.
pub fn examine(
    library: &Path,
    subject: &Subject,
    caller: &Caller,
    effort: Effort,
    dir: &Path,
) -> Result<Report> {
    let dir = dir.join("schemathesis").join(caller.name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    fs::write(
        dir.join("schemathesis.toml"),
        plan::of(subject, caller, effort)?,
    )?;
    fs::write(dir.join("signs.py"), include_str!("signs.py"))?;
    let python = settings::find_program("python3").context("Python is not installed")?;
    let mut command = Command::new(python);
    command
        .current_dir(&dir)
        .env("PYTHONPATH", library)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CFA_WEBHOOK_SECRET", &subject.webhook_secret)
        .env("SCHEMATHESIS_HOOKS", "signs")
        .args(["-m", "schemathesis.cli", "--no-color", "run"])
        .arg(format!("{}/openapi.json", subject.gateway));
    let output = run::output(&mut command)?;
    let text = format!("as {}\n{}", caller.name, run::text(&output));
    match output.status.code() {
        Some(status @ (0 | 1)) => Ok(Report {
            sound: status == 0,
            text,
        }),
        _ => anyhow::bail!("schemathesis could not run ({}):\n{text}", output.status),
    }
}
