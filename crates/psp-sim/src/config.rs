use std::{path::PathBuf, time::Duration};

use chassis::{clock::Clock, env::Env};

/// What a simulator needs to know.
#[derive(Clone)]
pub struct Config {
    /// The key that opens the whole API, as a bearer token.
    pub secret_key: String,
    /// The secret that signs webhooks; several, separated by commas, sign side by side as in a rotation.
    pub webhook_secret: String,
    /// Where webhooks go; without it none are sent.
    pub webhook_url: Option<String>,
    /// The event types that are sent; empty means all.
    pub webhook_events: Vec<String>,
    /// The append-only file of all that happened. Made when it is missing, restored from when it is there.
    pub ledger: PathBuf,
    /// Where the random numbers of faults begin unless the faults say so themselves.
    pub seed: u64,
    /// How long a balance transaction stays `pending`.
    pub settle_after: Duration,
    /// The time that objects and signatures carry.
    pub clock: Clock,
}

impl Config {
    /// Reads `PSP_SECRET_KEY`, `PSP_WEBHOOK_SECRET`, `PSP_WEBHOOK_URL`, `PSP_WEBHOOK_EVENTS`, `PSP_LEDGER`,
    /// `PSP_SEED` and `PSP_SETTLE_AFTER_MS`.
    pub fn read(env: &mut Env) -> Self {
        let events = env.optional("PSP_WEBHOOK_EVENTS").unwrap_or_default();
        Self {
            secret_key: env.string("PSP_SECRET_KEY"),
            webhook_secret: env.string("PSP_WEBHOOK_SECRET"),
            webhook_url: env.optional("PSP_WEBHOOK_URL"),
            webhook_events: events
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            ledger: env.string("PSP_LEDGER").into(),
            seed: env.parsed("PSP_SEED", 0),
            settle_after: Duration::from_millis(env.parsed("PSP_SETTLE_AFTER_MS", 2000)),
            clock: Clock::system(),
        }
    }
}
