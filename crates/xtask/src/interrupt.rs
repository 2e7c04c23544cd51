//! Ctrl-C, SIGTERM and SIGHUP become a flag that every wait looks at, so that stopping is always orderly.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Starts to listen for the signals. Called once, by the binary.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        ASKED.fetch_add(1, Ordering::SeqCst);
    })
    .context("cannot listen for ctrl-c")
}

/// Whether the user wants us to end.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst) > 0
}

/// Whether the user has asked twice, and so does not want to wait for an orderly end.
pub fn insisted() -> bool {
    ASKED.load(Ordering::SeqCst) > 1
}

/// An error once the user wants us to end, for use in the middle of work.
pub fn check() -> Result<()> {
    if asked() {
        bail!("interrupted");
    }
    Ok(())
}

/// Asks again and again until the answer is there, the time is over (`None`) or the user wants us to end.
pub fn poll<T>(
    patience: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(5);
    loop {
        check()?;
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
