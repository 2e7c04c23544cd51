//! When an upstream is left alone, and when it is tried again.

use chassis::clock::Clock;
use chrono::Duration;
use gateway::breaker::{Breaker, Failure};

fn breaker() -> (Breaker, Clock) {
    let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
    (Breaker::new(clock.clone()), clock)
}

fn five(breaker: &Breaker, how: Failure) {
    for _ in 0..5 {
        breaker.failed(how);
    }
}

#[test]
fn five_failures_in_a_row_open_it() {
    let (breaker, _) = breaker();
    for _ in 0..4 {
        assert!(!breaker.failed(Failure::Connect));
    }
    breaker.succeeded();
    for _ in 0..4 {
        assert!(!breaker.failed(Failure::Timeout));
        assert!(breaker.admits());
    }
    assert!(breaker.failed(Failure::Timeout));
    assert!(!breaker.admits() && !breaker.is_closed());
    assert!(!breaker.failed(Failure::Timeout), "it opens once");
}

#[test]
fn after_thirty_seconds_one_request_tries() {
    let (breaker, clock) = breaker();
    five(&breaker, Failure::Timeout);
    clock.advance(Duration::milliseconds(29_999));
    assert!(!breaker.admits());
    clock.advance(Duration::milliseconds(1));
    assert!(breaker.admits());
    assert!(
        !breaker.admits(),
        "a second one has to wait for the outcome"
    );
    breaker.succeeded();
    assert!(breaker.admits() && breaker.admits() && breaker.is_closed());
}

#[test]
fn a_failed_try_keeps_it_open_for_another_thirty_seconds() {
    let (breaker, clock) = breaker();
    five(&breaker, Failure::Timeout);
    clock.advance(Duration::seconds(30));
    assert!(breaker.admits());
    clock.advance(Duration::seconds(20));
    breaker.failed(Failure::Timeout);
    clock.advance(Duration::seconds(29));
    assert!(!breaker.admits());
    clock.advance(Duration::seconds(1));
    assert!(breaker.admits());
}

#[test]
fn a_try_that_never_reports_does_not_keep_it_open_for_ever() {
    let (breaker, clock) = breaker();
    five(&breaker, Failure::Connect);
    clock.advance(Duration::seconds(30));
    assert!(breaker.admits());
    clock.advance(Duration::seconds(30));
    assert!(breaker.admits());
}

#[test]
fn a_health_check_disproves_a_lost_connection_but_not_slowness() {
    let (lost, _) = breaker();
    five(&lost, Failure::Connect);
    lost.reached();
    assert!(lost.is_closed() && lost.admits());

    let (slow, _) = breaker();
    five(&slow, Failure::Timeout);
    slow.reached();
    assert!(!slow.is_closed() && !slow.admits());
}
