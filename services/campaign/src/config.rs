//! Where the campaign service finds its neighbours and keys.

use chassis::{cache, clock::Clock, db, env::Env, kafka};

/// Everything that [`run`](crate::run) needs.
pub struct Config {
    /// The database, schema `campaign`.
    pub db: db::Config,
    /// The cache of finished replies.
    pub cache: cache::Config,
    /// The broker.
    pub kafka: kafka::Config,
    /// Verify access tokens: JSON object from key id to raw Ed25519 key in base64url.
    pub jwt_public_keys: String,
    /// The time of day.
    pub clock: Clock,
}

impl Config {
    /// Reads `JWT_PUBLIC_KEYS` and what database, cache and broker need.
    pub fn read(env: &mut Env) -> Self {
        Self {
            db: db::Config::read(env, "campaign"),
            cache: cache::Config::read(env),
            kafka: kafka::Config::read(env, "campaign"),
            jwt_public_keys: env.string("JWT_PUBLIC_KEYS"),
            clock: Clock::system(),
        }
    }
}
