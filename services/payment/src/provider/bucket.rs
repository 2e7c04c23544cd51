//! How fast the provider may be called: one bucket of tokens for everybody. Donors' calls go first: what can wait takes
//! only from the upper half of the bucket, so that it gets what donors leave.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

tokio::task_local! {
    static PATIENT: ();
}

/// Makes calls that can wait: sweeps, and looks that nobody has asked for.
pub async fn patiently<F: Future>(calls: F) -> F::Output {
    PATIENT.scope((), calls).await
}

/// Whether the call that is being made can wait.
pub fn is_patient() -> bool {
    PATIENT.try_with(|()| ()).is_ok()
}

/// The tokens.
pub struct Bucket {
    rate: f64,
    state: Mutex<State>,
}

struct State {
    tokens: f64,
    at: Instant,
    closed_until: Instant,
}

impl Bucket {
    /// A full bucket that holds a second's worth.
    pub fn new(per_second: u32) -> Self {
        let now = Instant::now();
        let rate = f64::from(per_second.max(1));
        Self {
            rate,
            state: Mutex::new(State {
                tokens: rate,
                at: now,
                closed_until: now,
            }),
        }
    }

    /// Waits for a token and takes it.
    pub async fn take(&self) {
        let patient = is_patient();
        while let Err(wait) = self.try_take(patient) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Keeps everybody out for so long: the provider has said that it is too much.
    pub fn close(&self, pause: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed_until = state.closed_until.max(Instant::now() + pause);
    }

    /// Takes a token, or says how long it takes until there may be one.
    fn try_take(&self, patient: bool) -> Result<(), Duration> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.duration_since(state.at).as_secs_f64();
        state.at = now;
        state.tokens = (state.tokens + passed * self.rate).min(self.rate);
        if now < state.closed_until {
            return Err(state.closed_until - now);
        }
        let least = if patient {
            1.0_f64.max(self.rate / 2.0)
        } else {
            1.0
        };
        if state.tokens >= least {
            state.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((least - state.tokens) / self.rate)
            .max(Duration::from_millis(1)))
    }
}
