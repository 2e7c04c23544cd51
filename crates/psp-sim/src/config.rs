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
    /// Whether the disk has to keep a line before anybody is answered. Without that a power cut loses what was answered; a
    /// process that dies loses nothing.
    pub durable: bool,
    /// Where the random numbers of faults begin unless the faults say so themselves.
    pub seed: u64,
    /// How long a balance transaction stays `pending`.
    pub settle_after: Duration,
    /// How this provider deals with money and with its callers.
    pub rules: Rules,
    /// The time that objects and signatures carry.
    pub clock: Clock,
}

/// How the provider deals with money and with its callers; by default much as Stripe does.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long a card's issuer holds an amount that is not captured.
    pub hold: Duration,
    /// How soon that happens which at Stripe takes days: a refund that turns, a dispute, a ruling, a payout's arrival.
    pub turn_after: Duration,
    /// How long a dispute waits for evidence before it is lost.
    pub evidence_within: Duration,
    /// The provider's share of a charge, in hundredths of a percent.
    pub fee_basis_points: i64,
    /// Its fixed part for each charge, in minor units.
    pub fee_fixed: i64,
    /// What it asks for a dispute, in minor units.
    pub dispute_fee: i64,
    /// How often all that is available is paid out by itself; zero is never.
    pub payout_every: Duration,
    /// How many requests the merchant may make in a second; zero is without a limit.
    pub requests_per_second: u32,
    /// Where a browser finds this provider; by default its own port on `localhost`.
    pub public_url: Option<String>,
}

impl Default for Rules {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            hold: Duration::from_secs(7 * DAY),
            turn_after: Duration::from_secs(2),
            evidence_within: Duration::from_secs(9 * DAY),
            fee_basis_points: 290,
            fee_fixed: 30,
            dispute_fee: 1500,
            payout_every: Duration::ZERO,
            requests_per_second: 0,
            public_url: None,
        }
    }
}

impl Rules {
    fn read(env: &mut Env) -> Self {
        let usual = Self::default();
        let mut time = |name: &'static str, usual: Duration| {
            let usual = u64::try_from(usual.as_millis()).unwrap_or(u64::MAX);
            Duration::from_millis(env.parsed(name, usual))
        };
        Self {
            hold: time("PSP_HOLD_MS", usual.hold),
            turn_after: time("PSP_TURN_AFTER_MS", usual.turn_after),
            evidence_within: time("PSP_EVIDENCE_WITHIN_MS", usual.evidence_within),
            payout_every: time("PSP_PAYOUT_EVERY_MS", usual.payout_every),
            fee_basis_points: env.parsed("PSP_FEE_BASIS_POINTS", usual.fee_basis_points),
            fee_fixed: env.parsed("PSP_FEE_FIXED", usual.fee_fixed),
            dispute_fee: env.parsed("PSP_DISPUTE_FEE", usual.dispute_fee),
            requests_per_second: env.parsed("PSP_REQUESTS_PER_SECOND", usual.requests_per_second),
            public_url: env.optional("PSP_PUBLIC_URL"),
        }
    }
}

impl Config {
    /// Reads `PSP_SECRET_KEY`, `PSP_WEBHOOK_SECRET`, `PSP_WEBHOOK_URL`, `PSP_WEBHOOK_EVENTS`, `PSP_LEDGER`,
    /// `PSP_DURABLE`, `PSP_SEED` and `PSP_SETTLE_AFTER_MS`; and for the rules `PSP_HOLD_MS`, `PSP_TURN_AFTER_MS`,
    /// `PSP_EVIDENCE_WITHIN_MS`, `PSP_FEE_BASIS_POINTS`, `PSP_FEE_FIXED`, `PSP_DISPUTE_FEE`, `PSP_PAYOUT_EVERY_MS`,
    /// `PSP_REQUESTS_PER_SECOND` and `PSP_PUBLIC_URL`.
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
            durable: env.parsed("PSP_DURABLE", true),
            seed: env.parsed("PSP_SEED", 0),
            settle_after: Duration::from_millis(env.parsed("PSP_SETTLE_AFTER_MS", 2000)),
            rules: Rules::read(env),
            clock: Clock::system(),
        }
    }
}
