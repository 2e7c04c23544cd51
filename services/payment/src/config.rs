//! Where the payment service finds its neighbours, its secrets and the provider.

use std::time::Duration;

use chassis::{cache, clock::Clock, db, env::Env, kafka};
use secrecy::{ExposeSecret, SecretString};

use crate::{cadence::Cadences, standing::Pace};

/// Everything that [`run`](crate::run) needs.
pub struct Config {
    /// The database, schema `payment`.
    pub db: db::Config,
    /// The cache.
    pub cache: cache::Config,
    /// The broker.
    pub kafka: kafka::Config,
    /// Verify access tokens: JSON object from key id to raw Ed25519 key in base64url.
    pub jwt_public_keys: String,
    /// Shared with the pledge service: tickets and guest tokens. What is stored sealed is sealed under it, too.
    pub token_secret: SecretString,
    /// Shared with the services that read payments as they stand.
    pub service_secret: SecretString,
    /// The provider.
    pub psp: Psp,
    /// How often the resolver looks for calls without an answer.
    pub resolve_every: Duration,
    /// How long after it was made a call without an answer is repeated; longer than a call may take.
    pub resolve_after: Duration,
    /// How often new entries of the books are weighed.
    pub weigh_every: Duration,
    /// How often the provider is asked about what it has not told.
    pub cadences: Cadences,
    /// How old the oldest event in the outbox may be before a person has to look.
    pub outbox_stuck_after: Duration,
    /// How fast the gifts of a campaign that was called off go back, and when an admin must approve.
    pub pace: Pace,
    /// The time of day.
    pub clock: Clock,
}

/// The provider and how to reach it.
pub struct Psp {
    /// Base of its API.
    pub url: String,
    /// The key of our account there.
    pub secret_key: SecretString,
    /// What its webhooks are signed with; several while it is rotated.
    pub webhook_secrets: Vec<SecretString>,
    /// Base of the page where the donor pays.
    pub checkout_url: String,
    /// How long a call may take.
    pub timeout: Duration,
    /// How long the breaker stays open.
    pub breaker_rest: Duration,
}

impl Config {
    /// Reads `JWT_PUBLIC_KEYS`, `TOKEN_SECRET`, `SERVICE_SECRET`, `PSP_URL`, `PSP_SECRET_KEY`, `PSP_WEBHOOK_SECRET` (a comma-separated
    /// list), `PSP_CHECKOUT_URL`, `PSP_TIMEOUT_MS` (default 5000), `RESOLVE_EVERY_MS` (default 5000),
    /// `RESOLVE_AFTER_MS` (default 10000), `LEDGER_WEIGH_EVERY_MS` (default 60000), `OUTBOX_STUCK_AFTER_MS` (default
    /// 60000), `REFUND_APPROVAL_MINOR` (default 1000000), `REFUNDS_PER_SECOND` (default 10), what [`Cadences`] need, and
    /// what the database, the cache and the broker need.
    pub fn read(env: &mut Env) -> Self {
        Self {
            db: db::Config::read(env, "payment"),
            cache: cache::Config::read(env),
            kafka: kafka::Config::read(env, "payment"),
            jwt_public_keys: env.string("JWT_PUBLIC_KEYS"),
            token_secret: env.secret("TOKEN_SECRET"),
            service_secret: env.secret("SERVICE_SECRET"),
            psp: Psp::read(env),
            resolve_every: millis(env, "RESOLVE_EVERY_MS", 5_000),
            resolve_after: millis(env, "RESOLVE_AFTER_MS", 10_000),
            weigh_every: millis(env, "LEDGER_WEIGH_EVERY_MS", 60_000),
            cadences: Cadences::read(env),
            outbox_stuck_after: millis(env, "OUTBOX_STUCK_AFTER_MS", 60_000),
            pace: Pace::read(env),
            clock: Clock::system(),
        }
    }
}

impl Pace {
    fn read(env: &mut Env) -> Self {
        let per_second: u32 = env.parsed("REFUNDS_PER_SECOND", 10);
        if per_second == 0 {
            env.problem("REFUNDS_PER_SECOND is zero");
        }
        Self {
            approval_from: env.parsed("REFUND_APPROVAL_MINOR", 1_000_000),
            pause: Duration::from_secs(1) / per_second.max(1),
        }
    }
}

impl Psp {
    fn read(env: &mut Env) -> Self {
        let secrets = env.string("PSP_WEBHOOK_SECRET");
        let secrets: Vec<_> = secrets
            .split(',')
            .map(str::trim)
            .filter(|secret| !secret.is_empty())
            .collect();
        if secrets.is_empty() {
            env.problem("PSP_WEBHOOK_SECRET holds no secret");
        }
        Self {
            url: env.string("PSP_URL"),
            secret_key: env.string("PSP_SECRET_KEY").into(),
            webhook_secrets: secrets.into_iter().map(SecretString::from).collect(),
            checkout_url: env.string("PSP_CHECKOUT_URL"),
            timeout: millis(env, "PSP_TIMEOUT_MS", 5_000),
            breaker_rest: Duration::from_secs(30),
        }
    }

    /// Whether the account takes real money, as its key says.
    pub fn is_live(&self) -> bool {
        let key = self.secret_key.expose_secret();
        key.starts_with("sk_live_") || key.starts_with("rk_live_")
    }
}

fn millis(env: &mut Env, name: &str, default: u64) -> Duration {
    Duration::from_millis(env.parsed(name, default))
}
