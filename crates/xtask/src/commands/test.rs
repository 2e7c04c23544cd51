//! `cargo xtask test`: every test, on real servers that live as long as the tests.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::{Result, bail};

use super::down::GRACE;
use crate::fleet::{
    Attach, BackendOptions, Backends, Lock, cargo, install, leftovers, remove_data, remove_fleets,
    stripe, target_dir,
};
use crate::{interrupt, run, schemathesis, settings, ui};

/// Provisions what the user does not bring, builds, runs the tests with the arguments passed on, and cleans up, also
/// after ctrl-c. Returns how the tests ended.
pub fn test(args: &[String]) -> Result<ExitStatus> {
    let root = settings::workspace_root()?;
    let run_dir = settings::run_dir(&root).join("test");
    let Some(_lock) = Lock::take(&run_dir)? else {
        bail!("another `cargo xtask test` runs in this checkout; wait for it, or stop it");
    };
    clear(&run_dir)?;
    let attach = Attach::from_env();
    install::ensure_fleet(&attach)?;
    let mut judges = stripe::judges();
    judges.extend(schemathesis::judge());

    ui::step("building");
    // Services and tests in one go, so that no crate is built twice with different features.
    let built = run::attached(cargo(&root).args(["build", "--workspace", "--bins", "--tests"]))?;
    if !built.success() {
        bail!("the build failed; cargo's messages are above");
    }
    let bin_dir = target_dir(&root)?.join("debug");

    if !attach.is_complete() {
        ui::step("starting PostgreSQL, Redis and Kafka for the tests");
    }
    let mut backends = Backends::start(&BackendOptions {
        attach,
        ..BackendOptions::for_test(run_dir.clone())?
    })?;
    let ended = run_tests(&root, args, &bin_dir, &run_dir, &backends, &judges);
    backends.stop();
    let strays = leftovers::sweep(&run_dir, GRACE);
    if !strays.is_empty() {
        ui::warn(&format!(
            "stopped what the tests had left: {}",
            strays.join(", ")
        ));
    }
    remove_data(&run_dir)?;
    if ended.as_ref().is_ok_and(ExitStatus::success) {
        remove_fleets(&run_dir)?;
    } else {
        let logs = run_dir.join("fleets");
        ui::say(&format!("the logs of each fleet are in {}", logs.display()));
    }
    ended
}

/// Runs nextest where it is installed, else cargo's own runner. Nextest leaves out the examples in the documentation, so
/// they follow, unless only some tests were asked for.
fn run_tests(
    root: &Path,
    args: &[String],
    bin_dir: &Path,
    run_dir: &Path,
    backends: &Backends,
    judges: &stripe::Judges,
) -> Result<ExitStatus> {
    let run = |subcommand: &[&str], args: &[String]| {
        interrupt::check()?;
        let mut command = cargo(root);
        command.args(subcommand).args(args);
        hand_over(&mut command, bin_dir, run_dir, backends);
        command.envs(judges.iter().cloned());
        run::attached(&mut command)
    };
    if settings::find_program("cargo-nextest").is_none() {
        return run(&["test", "--workspace", "--no-fail-fast"], args);
    }
    let ended = run(&["nextest", "run", "--workspace", "--no-fail-fast"], args)?;
    if !ended.success() || !args.is_empty() {
        return Ok(ended);
    }
    run(&["test", "--workspace", "--doc"], args)
}

/// Tells the tests where everything is.
fn hand_over(command: &mut Command, bin_dir: &Path, run_dir: &Path, backends: &Backends) {
    command
        .env("DATABASE_URL", backends.database_url.to_string())
        .env("REDIS_URL", &backends.redis_url)
        .env("KAFKA_BROKERS", &backends.brokers)
        .env("CFA_BIN_DIR", bin_dir)
        .env("CFA_RUN_DIR", run_dir);
}

/// Removes what a killed test run has left: processes, data, logs.
fn clear(run_dir: &Path) -> Result<()> {
    let stopped = leftovers::sweep(run_dir, GRACE);
    if !stopped.is_empty() {
        ui::warn(&format!(
            "the last test run was killed; stopped what it had left: {}",
            stopped.join(", ")
        ));
    }
    remove_data(run_dir)?;
    let _absent = fs::remove_dir_all(run_dir.join("logs"));
    remove_fleets(run_dir)
}
