//! Who ends, who waits, and with what exit code.

use std::{process::ExitCode, time::Duration};

use chassis::{clock::Clock, lifecycle::Lifecycle};
use chrono::TimeZone;

/// [`ExitCode`] has no equality of its own.
fn text(code: ExitCode) -> String {
    format!("{code:?}")
}

#[tokio::test]
async fn a_task_that_fails_panics_or_ends_early_ends_the_process_with_a_failure() {
    for case in 0..3 {
        let life = Lifecycle::new();
        life.spawn("task", async move {
            match case {
                0 => anyhow::bail!("broken"),
                1 => panic!("a panic on purpose"),
                _ => Ok(()),
            }
        });
        life.stopping().await;
        assert_eq!(
            text(life.finish().await),
            text(ExitCode::FAILURE),
            "case {case}"
        );
    }
}

#[tokio::test]
async fn a_stop_waits_for_tracked_work_and_is_a_success() {
    let life = Lifecycle::new();
    let (done, mut finished) = tokio::sync::oneshot::channel();
    let stopping = life.clone();
    life.spawn("loop", async move {
        stopping.stopping().await;
        Ok(())
    });
    let stopping = life.clone();
    // Whoever asked for the work has gone: its handle is dropped.
    drop(life.track(async move {
        stopping.stopping().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        done.send(()).expect("the test waits");
    }));
    life.stop();
    assert_eq!(text(life.finish().await), text(ExitCode::SUCCESS));
    finished.try_recv().expect("the work was finished first");
}

#[test]
fn a_fixed_clock_moves_only_when_told_to() {
    let start = chrono::Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
    let clock = Clock::fixed(start);
    let shared = clock.clone();
    shared.advance(chrono::Duration::seconds(5));
    assert_eq!(clock.now(), start + chrono::Duration::seconds(5));
    assert_eq!(
        Clock::system().now().timestamp_subsec_nanos() % 1000,
        0,
        "PostgreSQL keeps microseconds"
    );
}
