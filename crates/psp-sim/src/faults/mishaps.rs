use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Faults, chance::Die};

/// What goes wrong with a call that has had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It is never answered.
    Timeout,
    /// It is answered with 500.
    Error,
}

struct Dice {
    never_generated: Die,
    timeout: Die,
    error: Die,
}

/// The faults of the provider itself, beside those of its webhooks.
#[derive(Default)]
pub(crate) struct Mishaps(Mutex<Option<Dice>>);

impl Mishaps {
    fn lock(&self) -> MutexGuard<'_, Option<Dice>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what goes wrong from now on.
    pub(crate) fn set(&self, faults: Option<&Faults>, default_seed: u64) {
        *self.lock() = faults.map(|faults| Dice {
            never_generated: faults.die(&faults.never_generated, 4, default_seed),
            timeout: faults.die(&faults.timeout_after, 5, default_seed),
            error: faults.die(&faults.error_after, 6, default_seed),
        });
    }

    /// Whether the next event, of this type, does not come about.
    pub(crate) fn forgets(&self, event: &str) -> bool {
        let mut dice = self.lock();
        dice.as_mut()
            .is_some_and(|dice| dice.never_generated.roll(event))
    }

    /// What befalls the next call, to this path, that has had its effect.
    pub(crate) fn befall(&self, path: &str) -> Option<Mishap> {
        let mut dice = self.lock();
        let dice = dice.as_mut()?;
        let (timeout, error) = (dice.timeout.roll(path), dice.error.roll(path));
        if timeout {
            return Some(Mishap::Timeout);
        }
        error.then_some(Mishap::Error)
    }
}
