//! `cargo xtask chaos`: a fleet is broken by a schedule while donors give, and audited afterwards.

use std::process::{Command, ExitStatus};

use anyhow::Result;

use crate::fleet::{Attach, Profile, install};
use crate::{run, settings};

/// Options of `chaos`.
#[derive(Clone, Debug, clap::Args)]
pub struct Chaos {
    /// What goes wrong is drawn from this number: the same seed, the same schedule.
    #[arg(long)]
    pub seed: u64,
    /// How long donors give, in seconds.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// How many donors give at the same time.
    #[arg(long, default_value_t = 16)]
    pub donors: u64,
    /// Use release builds.
    #[arg(long)]
    pub release: bool,
    /// Print the schedule of the seed, and run nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Put PostgreSQL back, once, to a copy that is so many seconds old by then; 20 where no number is given. Donors give
    /// until it is that old.
    #[arg(long, num_args = 0..=1, default_missing_value = "20")]
    pub restore: Option<u64>,
    /// Do without a guard, to see the run go red; debug builds only.
    #[arg(long, conflicts_with = "release")]
    pub without: Option<String>,
}

/// Builds everything, and runs `chaos` of the proof crate, which may use the drivers that this crate does not link.
pub fn chaos(args: &Chaos) -> Result<ExitStatus> {
    let root = settings::workspace_root()?;
    install::ensure_fleet(&Attach::default())?;
    let profile = if args.release {
        Profile::Release
    } else {
        Profile::Dev
    };
    let mut command = Command::new(profile.build(&root)?.join("chaos"));
    command.current_dir(&root);
    for (name, number) in [
        ("--seed", args.seed),
        ("--seconds", args.seconds),
        ("--donors", args.donors),
    ] {
        command.args([name, &number.to_string()]);
    }
    command.args(args.dry_run.then_some("--dry-run"));
    if let Some(age) = args.restore {
        command.args(["--restore", &age.to_string()]);
    }
    if let Some(guard) = &args.without {
        command.args(["--without", guard]);
    }
    run::attached(&mut command)
}
