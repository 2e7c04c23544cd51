//! The breaker before the provider.

use chassis::clock::Clock;
use chrono::{DateTime, Duration};
use payment::breaker::Breaker;

const REST: Duration = Duration::seconds(30);

fn closed() -> (Breaker, Clock) {
    let clock = Clock::fixed(DateTime::UNIX_EPOCH);
    (Breaker::new(clock.clone(), REST), clock)
}

fn fail(breaker: &Breaker, times: usize) {
    for _ in 0..times {
        assert!(breaker.admits());
        breaker.failed();
    }
}

#[test]
fn three_failures_in_a_row_open_it_for_half_a_minute() {
    let (breaker, clock) = closed();
    fail(&breaker, 2);
    breaker.succeeded();
    fail(&breaker, 2);
    assert!(breaker.admits());
    assert!(breaker.failed());
    assert!(!breaker.admits());
    clock.advance(REST - Duration::milliseconds(1));
    assert!(!breaker.admits());
    clock.advance(Duration::milliseconds(1));
    assert!(breaker.admits());
}

#[test]
fn it_closes_after_three_probes_one_at_a_time() {
    let (breaker, clock) = closed();
    fail(&breaker, 3);
    clock.advance(REST);
    for _ in 0..3 {
        assert!(breaker.admits());
        assert!(!breaker.admits(), "one probe at a time");
        breaker.succeeded();
    }
    assert!(breaker.admits());
    assert!(breaker.admits());
}

#[test]
fn a_failed_probe_opens_it_again() {
    let (breaker, clock) = closed();
    fail(&breaker, 3);
    clock.advance(REST);
    assert!(breaker.admits());
    assert!(breaker.failed());
    assert!(!breaker.admits());
    clock.advance(REST);
    assert!(breaker.admits());
}

#[test]
fn a_probe_that_never_reports_loses_its_turn() {
    let (breaker, clock) = closed();
    fail(&breaker, 3);
    clock.advance(REST);
    assert!(breaker.admits());
    clock.advance(REST);
    assert!(breaker.admits());
}

#[test]
fn a_late_success_of_an_old_call_does_not_close_it() {
    let (breaker, _) = closed();
    fail(&breaker, 3);
    breaker.succeeded();
    assert!(!breaker.admits());
}

#[test]
fn calls_that_can_wait_shut_out_no_donor_and_yet_prove_that_the_provider_is_still_away() {
    let (breaker, clock) = closed();
    for _ in 0..10 {
        assert!(breaker.admits());
        assert!(!breaker.failed_patiently());
    }
    assert!(breaker.admits());
    fail(&breaker, 3);
    clock.advance(REST);
    assert!(breaker.admits());
    assert!(breaker.failed_patiently());
    assert!(!breaker.admits());
}
