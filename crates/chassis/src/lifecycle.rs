//! Start, stop and failure of a process: who is running, who has been asked to stop, and with what exit code.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long tasks may take to end after they were asked to. What starts and ends us kills after 20 seconds.
const GRACE: Duration = Duration::from_secs(18);

/// A handle to the running process; clones are the same process.
#[derive(Clone, Default)]
pub struct Lifecycle {
    leaving: Arc<AtomicBool>,
    stop: CancellationToken,
    stopped: Arc<OnceLock<Instant>>,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
}

impl Lifecycle {
    /// A process that has just begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task that the process cannot do without: should it fail, panic or end before the process was
    /// asked to stop, the whole process stops and exits with a failure.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where tasks are counted, so that a shutdown can wait for them"
    )]
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let life = self.clone();
        tokio::spawn(self.tasks.track_future(async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            match outcome {
                Ok(Ok(())) if life.is_stopping() => return,
                Ok(Ok(())) => tracing::error!(
                    task = name,
                    "task ended before the process was asked to stop"
                ),
                Ok(Err(error)) => {
                    tracing::error!(task = name, error = format!("{error:#}"), "task failed");
                }
                Err(_) => tracing::error!(task = name, "task panicked"),
            }
            life.failed.store(true, Ordering::SeqCst);
            life.stop();
        }));
    }

    /// Runs work that must finish even when the one who asked for it has gone; a shutdown waits for it.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where tasks are counted, so that a shutdown can wait for them"
    )]
    pub fn track<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(self.tasks.track_future(work))
    }

    /// Says that the process will stop soon: it is not ready any more, and still takes requests.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// Whether the process was told to leave, or to stop.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst) || self.is_stopping()
    }

    /// Asks every task to end.
    pub fn stop(&self) {
        self.stopped.get_or_init(Instant::now);
        self.stop.cancel();
    }

    /// Whether the process was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until the process is asked to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Waits for the end of every task, at most until 18 seconds after the stop, and gives the exit code.
    pub async fn finish(&self) -> ExitCode {
        self.tasks.close();
        let until = *self.stopped.get_or_init(Instant::now) + GRACE;
        if tokio::time::timeout_at(until, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                tasks = self.tasks.len(),
                "tasks were still running at the end of the grace period"
            );
        }
        if self.failed.load(Ordering::SeqCst) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}
