//! A breaker per upstream: after five failures in a row nothing is sent there for 30 seconds, then one request tries.
//!
//! Only failures to connect and timeouts count. A reply counts as life, whatever its status: one service's 503 must
//! not close the way to it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::Relaxed};

use chassis::clock::Clock;

/// How many failures in a row open a breaker.
const FAILURES: u32 = 5;
/// For how long it stays open, in milliseconds.
const OPEN: i64 = 30_000;

/// How an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There was no connection to be had.
    Connect,
    /// There was no reply in time.
    Timeout,
}

/// The breaker of one upstream. While it is closed, asking it is one atomic read.
pub struct Breaker {
    clock: Clock,
    failures: AtomicU32,
    /// When the next request may try, in milliseconds since 1970; 0 while the breaker is closed.
    retry_at: AtomicI64,
    slow: AtomicBool,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            failures: AtomicU32::new(0),
            retry_at: AtomicI64::new(0),
            slow: AtomicBool::new(false),
        }
    }

    /// Whether a request may be sent. Once the time is over, one caller in 30 seconds gets a yes, and is the probe:
    /// should it be cancelled and never report, the next one follows.
    pub fn admits(&self) -> bool {
        let retry_at = self.retry_at.load(Relaxed);
        if retry_at == 0 {
            return true;
        }
        let now = self.now();
        now >= retry_at
            && self
                .retry_at
                .compare_exchange(retry_at, now + OPEN, Relaxed, Relaxed)
                .is_ok()
    }

    /// Whether requests flow freely.
    pub fn is_closed(&self) -> bool {
        self.retry_at.load(Relaxed) == 0
    }

    /// Notes a reply.
    pub fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if !self.is_closed() {
            self.retry_at.store(0, Relaxed);
        }
    }

    /// Notes a failure, and says whether it was the one that opened the breaker.
    pub fn failed(&self, how: Failure) -> bool {
        self.slow.store(how == Failure::Timeout, Relaxed);
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < FAILURES && self.is_closed() {
            return false;
        }
        self.retry_at.swap(self.now() + OPEN, Relaxed) == 0
    }

    /// Notes that a health check got through. That disproves a failure to connect, so requests need not wait any
    /// longer; it says nothing about slowness, since a health check does little work.
    pub fn reached(&self) {
        if !self.slow.load(Relaxed) {
            self.succeeded();
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }
}
