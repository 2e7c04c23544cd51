//! `cargo xtask down`: ends what `up` has started, and keeps its data.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use crate::fleet::state::State;
use crate::fleet::{Lock, leftovers};
use crate::{interrupt, settings, ui};

/// How long one process may take to end.
pub(super) const GRACE: Duration = Duration::from_secs(20);

/// Ends what runs in the run directory, in an orderly way. Fine when nothing does.
pub fn down() -> Result<()> {
    let run_dir = settings::run_dir(&settings::workspace_root()?);
    let known = State::read(&run_dir).is_some();
    let (_lock, asked) = take_over(&run_dir)?;
    let stopped = leftovers::sweep(&run_dir, GRACE);
    State::remove(&run_dir);
    if stopped.is_empty() && !known && !asked {
        ui::say("nothing is running");
    } else if stopped.is_empty() {
        ui::done("stopped");
    } else {
        ui::done(&format!("stopped {}", stopped.join(", ")));
    }
    Ok(())
}

/// Gets the lock; asks an `up` that holds it to end, and says whether it had to.
fn take_over(run_dir: &Path) -> Result<(Lock, bool)> {
    if let Some(lock) = Lock::take(run_dir)? {
        return Ok((lock, false));
    }
    if let Some(holder) = Lock::holder(run_dir) {
        ui::step(&format!("asking `up` (process {}) to stop", holder.pid));
        holder.signal(Signal::SIGTERM);
    }
    match interrupt::poll(GRACE * 4, || Lock::take(run_dir))? {
        Some(lock) => Ok((lock, true)),
        None => bail!(
            "the running `cargo xtask up` does not end; kill it, then run `cargo xtask down` again"
        ),
    }
}
