//! Where the totals service finds its neighbours.

use chassis::{cache, clock::Clock, db, env::Env, kafka};

/// Everything that [`run`](crate::run) needs.
pub struct Config {
    /// The database, schema `totals`.
    pub db: db::Config,
    /// The cache of snapshots.
    pub cache: cache::Config,
    /// The broker.
    pub kafka: kafka::Config,
    /// The time of day.
    pub clock: Clock,
}

impl Config {
    /// Reads what database, cache and broker need.
    pub fn read(env: &mut Env) -> Self {
        Self {
            db: db::Config::read(env, "totals"),
            cache: cache::Config::read(env),
            kafka: kafka::Config::read(env, "totals"),
            clock: Clock::system(),
        }
    }
}
