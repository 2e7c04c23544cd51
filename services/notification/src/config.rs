//! Where the notification service finds its neighbours, and what it allows its watchers.

use std::time::Duration;

use chassis::{clock::Clock, db, env::Env, kafka};
use secrecy::SecretString;

/// Everything that [`run`](crate::run) needs.
pub struct Config {
    /// The database, schema `notification`.
    pub db: db::Config,
    /// The broker.
    pub kafka: kafka::Config,
    /// Verify access tokens: JSON object from key id to raw Ed25519 key in base64url.
    pub jwt_public_keys: String,
    /// The mail server, such as `smtp://127.0.0.1:1025` or `smtps://user:password@mail.example.org`.
    pub smtp_url: SecretString,
    /// The sender of every mail, such as `CareForAll <thanks@example.org>`.
    pub mail_from: String,
    /// What watchers of the live feed may use.
    pub feed: FeedLimits,
    /// The time of day.
    pub clock: Clock,
}

/// What the live feed allows.
#[derive(Clone, Copy, Debug)]
pub struct FeedLimits {
    /// Sockets open at once in this process.
    pub sockets: usize,
    /// Between two pings; a socket that has not answered one by the next is closed.
    pub ping: Duration,
}

impl Default for FeedLimits {
    fn default() -> Self {
        Self {
            sockets: 2000,
            ping: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Reads `JWT_PUBLIC_KEYS`, `SMTP_URL`, `MAIL_FROM`, `WS_SOCKETS` (default 2000) and what the database and the
    /// broker need.
    pub fn read(env: &mut Env) -> Self {
        let feed = FeedLimits::default();
        Self {
            db: db::Config::read(env, "notification"),
            kafka: kafka::Config::read(env, "notification"),
            jwt_public_keys: env.string("JWT_PUBLIC_KEYS"),
            smtp_url: env.string("SMTP_URL").into(),
            mail_from: env.string("MAIL_FROM"),
            feed: FeedLimits {
                sockets: env.parsed("WS_SOCKETS", feed.sockets),
                ..feed
            },
            clock: Clock::system(),
        }
    }
}
