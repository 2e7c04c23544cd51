//! The breaker before the provider: after three failures in a row nobody waits for it for half a minute.
//!
//! Only failures to connect and timeouts count. A reply is a sign of life, whatever it says.

use std::sync::{Mutex, PoisonError};

use chassis::clock::Clock;
use chrono::{DateTime, Duration, Utc};

/// How many failures in a row open it.
const FAILURES: u32 = 3;
/// How many probes in a row must get through before it closes.
const PROBES: u32 = 3;

/// A circuit breaker. Closed: everybody may call. Open: nobody, for the rest. Then one at a time probes, until
/// three have got through or one has failed.
pub struct Breaker {
    clock: Clock,
    rest: Duration,
    state: Mutex<State>,
}

enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: DateTime<Utc>,
    },
    // A probe that is dropped and never reports loses its turn after the rest.
    Probing {
        passed: u32,
        busy_until: Option<DateTime<Utc>>,
    },
}

impl Breaker {
    /// A closed breaker that, once open, rests for this long.
    pub fn new(clock: Clock, rest: Duration) -> Self {
        Self {
            clock,
            rest,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Whether a call may be made now. A yes is followed by [`Breaker::succeeded`] or [`Breaker::failed`].
    pub fn admits(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        let passed = match &*state {
            State::Closed { .. } => return true,
            State::Open { until } if now < *until => return false,
            State::Open { .. } => 0,
            State::Probing {
                busy_until: Some(until),
                ..
            } if now < *until => return false,
            State::Probing { passed, .. } => *passed,
        };
        *state = State::Probing {
            passed,
            busy_until: Some(now + self.rest),
        };
        true
    }

    /// Notes a sign of life.
    pub fn succeeded(&self) {
        let mut state = self.lock();
        *state = match *state {
            State::Probing { passed, .. } if passed + 1 < PROBES => State::Probing {
                passed: passed + 1,
                busy_until: None,
            },
            // A call from before it opened proves nothing about now.
            State::Open { until } => State::Open { until },
            State::Closed { .. } | State::Probing { .. } => State::Closed { failures: 0 },
        };
    }

    /// Notes that a call that could wait failed: as a probe it counts, and otherwise it shuts out no donor.
    pub fn failed_patiently(&self) -> bool {
        let is_probe = matches!(*self.lock(), State::Probing { .. });
        is_probe && self.failed()
    }

    /// Notes a failure to connect or a timeout, and says whether it opened the breaker.
    pub fn failed(&self) -> bool {
        let mut state = self.lock();
        let failures = match *state {
            State::Closed { failures } => failures + 1,
            State::Probing { .. } => FAILURES,
            State::Open { .. } => return false,
        };
        let opens = failures >= FAILURES;
        *state = if opens {
            State::Open {
                until: self.clock.now() + self.rest,
            }
        } else {
            State::Closed { failures }
        };
        opens
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
