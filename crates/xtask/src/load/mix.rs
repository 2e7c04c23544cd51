//! The open-loop mix, by k6.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::Settings;
use crate::fleet::state::State;
use crate::{run, settings};

/// What k6 made of it.
#[derive(Clone, Debug, Serialize)]
pub struct Mix {
    /// The figures as `loadtest/lib/summary.js` writes them.
    pub figures: Value,
    /// The same as text.
    pub text: String,
    /// Whether every promise of the script was kept.
    pub kept: bool,
}

/// k6 from `PATH`, or from where `go install` puts it.
pub fn program() -> Option<PathBuf> {
    settings::find_program("k6").or_else(|| {
        let file = Path::new(&settings::var("HOME")?).join("go/bin/k6");
        file.is_file().then_some(file)
    })
}

/// Runs `loadtest/donation_mix.js`. A broken promise is a result, not an error.
pub fn drive(
    k6: &Path,
    root: &Path,
    run_dir: &Path,
    fleet: &State,
    settings: &Settings,
) -> Result<Mix> {
    let summary = run_dir.join("k6.json");
    let _absent = std::fs::remove_file(&summary);
    let output = run::output(
        Command::new(k6)
            .args(["run", "--quiet", "--no-usage-report", "--address", ""])
            .arg(root.join("loadtest/donation_mix.js"))
            .env("GATEWAY", &fleet.gateway)
            .env("PSP", &fleet.psp)
            .env("CAMPAIGN", &fleet.campaign_id)
            .env("RATE", settings.mix.to_string())
            .env("SECONDS", settings.mix_seconds.to_string())
            .env("SUMMARY", &summary),
    )?;
    let figures = std::fs::read_to_string(&summary)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .with_context(|| {
            format!(
                "k6 wrote no figures:\n{}",
                run::end_of(&run::text(&output), 20)
            )
        })?;
    Ok(Mix {
        figures,
        text: String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned(),
        kept: output.status.success(),
    })
}
