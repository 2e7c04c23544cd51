//! Password hashing, bounded: argon2id costs 19 MiB and tens of milliseconds of a core each time, so an unbounded
//! number of logins would starve everything else on the machine.

use std::sync::Arc;

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        Error,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use tokio::sync::Semaphore;

use crate::domain::Password;

/// How many may wait for their turn; the next one is refused.
const QUEUE: usize = 32;

/// Room for 34 MiB, of which a hash uses and touches 19. The C library's allocator keeps what it is given back, for
/// each thread that ever hashed, unless it was more than 32 MiB: that it maps and unmaps.
const ROOM: usize = 34 * 1024;

/// Why no answer came.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue is full.
    Busy,
    /// The hash could not be computed or read.
    Broken(String),
}

/// Hashes and checks passwords with the defaults of argon2, which are OWASP's (19 MiB, two passes, one lane).
#[derive(Clone)]
pub struct Hasher {
    /// Running or waiting.
    places: Arc<Semaphore>,
    /// Running.
    turns: Arc<Semaphore>,
}

impl Hasher {
    /// The hash of no password, with today's parameters: checking an unknown account costs what a known one costs.
    pub const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWF0LWFsbC0xMQ$dGhlIGhhc2ggdGhhdCBubyBwYXNzd29yZCBoYXMhISE";

    /// Computes at most `parallel` hashes at once.
    pub fn new(parallel: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(parallel + QUEUE)),
            turns: Arc::new(Semaphore::new(parallel)),
        }
    }

    /// Hashes a new password, as a PHC string.
    ///
    /// # Errors
    /// [`Refused::Busy`] when 32 are waiting already.
    pub async fn hash(&self, password: Password) -> Result<String, Refused> {
        let hash = move || {
            let salt = Salt::new(&rand::random::<[u8; 16]>())?;
            let hash = argon2id(password.expose(), salt, Params::DEFAULT)?;
            Ok(hash.to_string())
        };
        self.in_turn(hash).await
    }

    /// Whether `password` is the one behind `stored`; without a stored one, the same work and `false`.
    ///
    /// # Errors
    /// [`Refused::Busy`] when 32 are waiting already.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Refused> {
        let verify = move || {
            let known = PasswordHash::new(stored.as_deref().unwrap_or(Self::NOBODY))?;
            let salt = known.salt.ok_or(Error::SaltInvalid)?;
            let computed = argon2id(&password, salt, Params::try_from(&known)?)?;
            // Compared in constant time, and never equal where the algorithm is another.
            Ok(computed == known && stored.is_some())
        };
        self.in_turn(verify).await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Refused::Busy)?;
        let broken = |error: &dyn std::fmt::Display| {
            Refused::Broken(format!("cannot hash a password: {error}"))
        };
        let turn = self
            .turns
            .clone()
            .acquire_owned()
            .await
            .map_err(|error| broken(&error))?;
        // The permits travel with the work: a caller who leaves does not let a further hash begin beside this one.
        let done = tokio::task::spawn_blocking(move || {
            let _permits = (place, turn);
            work()
        });
        done.await
            .map_err(|error| broken(&error))?
            .map_err(|error| broken(&error))
    }
}

/// What the library's own `hash_password` does, in memory that goes back to the system.
fn argon2id(password: &str, salt: Salt, params: Params) -> Result<PasswordHash, Error> {
    let mut blocks = Vec::with_capacity(ROOM.max(params.block_count()));
    blocks.resize(params.block_count(), Block::new());
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), &salt, &mut output, &mut blocks)?;
    Ok(PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params())?,
        salt: Some(salt),
        hash: Some(Output::new(&output)?),
    })
}
