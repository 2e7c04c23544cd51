//! `cargo xtask schemathesis`: whatever the OpenAPI document allows, and what it does not, is sent to a fleet.

use anyhow::{Context, Result};

use crate::fleet::{Attach, Options, Profile, install};
use crate::schemathesis::{self, Effort, Subject};
use crate::{settings, ui};

/// Options of `schemathesis`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Schemathesis {
    /// What is sent is drawn from this number: the same seed, the same requests.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many requests are drawn for each operation, beside those that are always sent.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub examples: u32,
}

/// Starts a fleet on servers of its own, examines it, and ends it; false where an answer was not as described.
pub fn schemathesis(args: &Schemathesis) -> Result<bool> {
    let root = settings::workspace_root()?;
    install::ensure_fleet(&Attach::default())?;
    let library = schemathesis::library().context("schemathesis is what this command runs")?;
    ui::step("building the services");
    let bin_dir = Profile::Dev.build(&root)?;
    ui::step("starting a fleet of its own");
    let mut options = Options::for_test_with_backends("schemathesis")?;
    options.bin_dir = bin_dir;
    let fleet = options.start()?;
    let campaign = fleet.seed()?;
    let subject = Subject::of(&fleet, &campaign)?;
    let effort = Effort {
        seed: args.seed,
        examples: args.examples,
        boundaries: true,
    };
    let mut sound = true;
    for caller in &subject.callers {
        let report = schemathesis::examine(&library, &subject, caller, effort, fleet.run_dir())?;
        ui::say(&report.text);
        sound &= report.sound;
    }
    Ok(sound)
}
