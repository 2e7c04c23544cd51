//! Idempotency keys: the first reply under a key is the reply for good.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{error::ApiError, form::Params, model::Answer};

/// The longest key, in bytes.
const KEY_BYTES: usize = 255;

enum Entry {
    Running { path: String, fingerprint: String },
    Done(Arc<Answer>),
}

/// All keys that were ever used. Stripe forgets them after a day at the earliest; the simulator never does.
#[derive(Clone, Default)]
pub(crate) struct Keys(Arc<Mutex<HashMap<String, Entry>>>);

/// What to do with a call that carries a key.
pub(crate) enum Begun {
    /// It is the first: execute it.
    First(Claim),
    /// It was answered before.
    Replay(Arc<Answer>),
}

/// The right to execute the first call under a key; dropped without an answer it frees the key again.
pub(crate) struct Claim {
    keys: Keys,
    key: String,
    path: String,
    fingerprint: String,
}

impl Keys {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an answer from the ledger.
    pub(crate) fn restore(&self, answer: &Arc<Answer>) {
        self.lock()
            .insert(answer.key.clone(), Entry::Done(answer.clone()));
    }

    /// Looks a key up and claims it for this call if it is new.
    pub(crate) fn begin(&self, key: &str, path: &str, params: &Params) -> Result<Begun, ApiError> {
        if key.len() > KEY_BYTES {
            let message = format!("Idempotency keys may be at most {KEY_BYTES} characters long.");
            return Err(ApiError::key_reused(message));
        }
        let fingerprint = params.fingerprint();
        let mut keys = self.lock();
        let (first_path, first_fingerprint, answer) = match keys.get(key) {
            None => {
                let claim = Claim {
                    keys: self.clone(),
                    key: key.to_owned(),
                    path: path.to_owned(),
                    fingerprint: fingerprint.clone(),
                };
                let running = Entry::Running {
                    path: path.to_owned(),
                    fingerprint,
                };
                keys.insert(key.to_owned(), running);
                return Ok(Begun::First(claim));
            }
            Some(Entry::Running { path, fingerprint }) => (path, fingerprint, None),
            Some(Entry::Done(answer)) => (&answer.path, &answer.fingerprint, Some(answer.clone())),
        };
        if first_path != path {
            return Err(ApiError::key_reused(format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for \
                 ('{path}' vs '{first_path}'). Try using a key other than '{key}' if you meant to execute a \
                 different request."
            )));
        }
        if *first_fingerprint != fingerprint {
            return Err(ApiError::key_reused(format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                 Try using a key other than '{key}' if you meant to execute a different request."
            )));
        }
        answer
            .map(Begun::Replay)
            .ok_or_else(|| ApiError::key_in_use(key))
    }
}

impl Claim {
    /// The record of this reply, for the ledger.
    pub(crate) fn answer(&self, status: u16, body: String) -> Arc<Answer> {
        let (key, path) = (self.key.clone(), self.path.clone());
        Arc::new(Answer {
            key,
            path,
            fingerprint: self.fingerprint.clone(),
            status,
            body,
        })
    }

    /// From now on the key is answered with this.
    pub(crate) fn finish(self, answer: &Arc<Answer>) {
        self.keys.restore(answer);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut keys = self.keys.lock();
        if let Some(Entry::Running { .. }) = keys.get(&self.key) {
            keys.remove(&self.key);
        }
    }
}
