//! Where the user service finds its neighbours, its keys and its first admin.

use std::thread::available_parallelism;

use chassis::{clock::Clock, db, env::Env, kafka};
use secrecy::SecretString;

use common::contact::Email;

use crate::domain::Password;

/// Everything that [`run`](crate::run) needs.
pub struct Config {
    /// The database, schema `users`.
    pub db: db::Config,
    /// The broker.
    pub kafka: kafka::Config,
    /// Signs access tokens: Ed25519, PKCS#8 PEM.
    pub jwt_private_key: SecretString,
    /// Verify access tokens, here and everywhere: JSON object from key id to raw Ed25519 key in base64url.
    pub jwt_public_keys: String,
    /// Makes the pseudonym under which an account's gifts are counted; pledge has the same.
    pub donor_ref_secret: SecretString,
    /// The account that must exist with the role ADMIN.
    pub admin: Option<FirstAdmin>,
    /// How many passwords are hashed at once: one for each core.
    pub argon2_parallel: usize,
    /// The time of day.
    pub clock: Clock,
}

/// The admin that a new installation begins with.
pub struct FirstAdmin {
    /// Its address.
    pub email: Email,
    /// Its password, used only while the account does not exist.
    pub password: Password,
}

impl Config {
    /// Reads `JWT_PRIVATE_KEY`, `JWT_PUBLIC_KEYS`, `DONOR_REF_SECRET`, `ADMIN_EMAIL`, `ADMIN_PASSWORD`,
    /// `ARGON2_PARALLEL` (default: the number of cores) and what the database and the broker need.
    pub fn read(env: &mut Env) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            db: db::Config::read(env, "users"),
            kafka: kafka::Config::read(env, "user"),
            jwt_private_key: env.secret("JWT_PRIVATE_KEY"),
            jwt_public_keys: env.string("JWT_PUBLIC_KEYS"),
            donor_ref_secret: env.secret("DONOR_REF_SECRET"),
            admin: first_admin(env),
            argon2_parallel: env.parsed("ARGON2_PARALLEL", cores).max(1),
            clock: Clock::system(),
        }
    }
}

impl FirstAdmin {
    /// Checks both as if they had been entered at registration.
    ///
    /// # Errors
    /// Says what is wrong, never with the password in it.
    pub fn parse(email: &str, password: &str) -> Result<Self, String> {
        let email = Email::parse(email).map_err(|rule| format!("ADMIN_EMAIL {rule}"))?;
        let password =
            Password::parse(password, &email).map_err(|rule| format!("ADMIN_PASSWORD {rule}"))?;
        Ok(Self { email, password })
    }
}

fn first_admin(env: &mut Env) -> Option<FirstAdmin> {
    let parsed = match (env.optional("ADMIN_EMAIL"), env.optional("ADMIN_PASSWORD")) {
        (None, None) => return None,
        (Some(email), Some(password)) => FirstAdmin::parse(&email, &password),
        _ => Err("ADMIN_EMAIL and ADMIN_PASSWORD come together or not at all".to_owned()),
    };
    parsed.map_err(|problem| env.problem(problem)).ok()
}
