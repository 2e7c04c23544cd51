//! What the service reads from its environment.

use chassis::{cache, clock::Clock, db, env::Env, kafka};
use secrecy::SecretString;

use crate::domain::charge::WHOLE;

/// What the provider is taken to keep, in basis points, unless the environment says otherwise: 3 %.
const COVERED_FEE_BPS: u32 = 300;

/// Configuration of the pledge service.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database.
    pub db: db::Config,
    /// Redis.
    pub cache: cache::Config,
    /// Kafka.
    pub kafka: kafka::Config,
    /// The time.
    pub clock: Clock,
    /// Public keys of access tokens, as JSON.
    pub jwt_public_keys: String,
    /// Signs tickets and guest tokens; shared with the payment service.
    pub token_secret: SecretString,
    /// Makes pseudonyms of e-mail addresses; shared with the user service.
    pub donor_ref_secret: SecretString,
    /// Base URL of the gateway, as donors see it.
    pub public_url: String,
    /// The share of gift and tip that a donor adds who covers the provider's fee, in basis points.
    pub covered_fee_bps: u32,
}

impl Config {
    /// Reads the environment; what is missing is reported by [`Env::finish`].
    pub fn read(env: &mut Env) -> Self {
        let covered_fee_bps = env.parsed("COVERED_FEE_BPS", COVERED_FEE_BPS);
        if covered_fee_bps > WHOLE {
            env.problem(format!("COVERED_FEE_BPS is more than {WHOLE}"));
        }
        Self {
            covered_fee_bps,
            db: db::Config::read(env, "pledge"),
            cache: cache::Config::read(env),
            kafka: kafka::Config::read(env, "pledge"),
            clock: Clock::system(),
            jwt_public_keys: env.string("JWT_PUBLIC_KEYS"),
            token_secret: env.secret("TOKEN_SECRET"),
            donor_ref_secret: env.secret("DONOR_REF_SECRET"),
            public_url: env.string("PUBLIC_URL").trim_end_matches('/').to_owned(),
        }
    }
}
