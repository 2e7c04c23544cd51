//! Gifts that somebody keeps in mind, to do something about them later.

use std::sync::{Mutex, PoisonError};

use super::client::Pledged;

/// Gifts, as they came.
#[derive(Default)]
pub(super) struct Gifts(Mutex<Vec<Pledged>>);

impl Gifts {
    /// Keeps one in mind, once.
    pub(super) fn add(&self, pledged: &Pledged) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all
            .iter()
            .all(|known| known.payment_id != pledged.payment_id)
        {
            all.push(pledged.clone());
        }
    }

    /// All so far.
    pub(super) fn all(&self) -> Vec<Pledged> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}
