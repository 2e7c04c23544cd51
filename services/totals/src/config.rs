//! Where the totals service finds its neighbours.

use std::time::Duration;

use chassis::{cache, clock::Clock, db, env::Env, kafka};
use secrecy::SecretString;

/// Everything that [`run`](crate::run) needs.
pub struct Config {
    /// The database, schema `totals`.
    pub db: db::Config,
    /// The cache of snapshots.
    pub cache: cache::Config,
    /// The broker.
    pub kafka: kafka::Config,
    /// Verify access tokens: JSON object from key id to raw Ed25519 key in base64url.
    pub jwt_public_keys: String,
    /// Bases of the payment service's instances.
    pub payment_urls: Vec<String>,
    /// What is shown to them.
    pub service_secret: SecretString,
    /// How many payments a rebuild reads at once, 1 to 1000.
    pub rebuild_page: u32,
    /// The pause of the auditor between two pages.
    pub audit_pause: Duration,
    /// How long a payment's snapshot may take to be contained before the auditor calls it lost.
    pub audit_patience: Duration,
    /// The time of day.
    pub clock: Clock,
}

impl Config {
    /// Reads `JWT_PUBLIC_KEYS`, `PAYMENT_URL` (a comma-separated list), `SERVICE_SECRET`, `TOTALS_AUDIT_PAUSE_MS` (default
    /// 1000), `TOTALS_AUDIT_PATIENCE_MS` (default 60000), and what database, cache and broker need.
    pub fn read(env: &mut Env) -> Self {
        let payment = env.string("PAYMENT_URL");
        let payment_urls: Vec<_> = payment
            .split(',')
            .map(|url| url.trim().trim_end_matches('/').to_owned())
            .filter(|url| !url.is_empty())
            .collect();
        if payment_urls.is_empty() && !payment.is_empty() {
            env.problem("PAYMENT_URL holds no address");
        }
        Self {
            db: db::Config::read(env, "totals"),
            cache: cache::Config::read(env),
            kafka: kafka::Config::read(env, "totals"),
            jwt_public_keys: env.string("JWT_PUBLIC_KEYS"),
            payment_urls,
            service_secret: env.secret("SERVICE_SECRET"),
            rebuild_page: 1_000,
            audit_pause: Duration::from_millis(env.parsed("TOTALS_AUDIT_PAUSE_MS", 1_000)),
            audit_patience: Duration::from_millis(env.parsed("TOTALS_AUDIT_PATIENCE_MS", 60_000)),
            clock: Clock::system(),
        }
    }
}
