//! Who is who: accounts, and the tokens that prove them.
//!
//! Serves `POST /api/auth/{register,login,refresh,logout}`, `GET /api/users/me` and `GET /.well-known/jwks.json`.
//! Publishes `cfa.user.events.v1` (no name and no address in it) and `cfa.contact.state.v1`. Consumes nothing.
//! Owns schema `users`: `accounts`, `refresh_families`, `refresh_tokens`, and the shared outbox table.
//!
//! Invariants: one account per normalised address, decided by a constraint; neither reply nor time tells a stranger
//! whether an address is known; passwords are stored only as argon2id, refresh tokens only as SHA-256; a refresh
//! token works once; no change to an account commits without its event.
//!
//! Access tokens are signed here and verified by every service on its own from configured public keys, so this
//! service is asked for nothing while others answer requests.

mod admin;
mod config;
mod db;
mod domain;
mod error;
mod password;
mod registration;
mod routes;
mod session;

use anyhow::Context;
use axum::extract::FromRef;
use chassis::{
    clock::Clock,
    db::Db,
    http::{AppInfo, Health},
    kafka::Kafka,
    lifecycle::Lifecycle,
};
use chrono::{DateTime, Utc};
use common::{
    auth::{Issuer, Role, Verifier},
    events::topics,
    ids::UserId,
    outbox,
};
use tokio::net::TcpListener;

use registration::Registrar;
use routes::KeySet;
use session::Sessions;

pub use config::{Config, FirstAdmin};
pub use domain::Password;
pub use error::Error;
pub use password::{Hasher, Refused};

/// How many sessions are ended at once.
const SESSIONS: i64 = 5_000;

/// The schema of this service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/user");

/// Names the key that signs new tokens in `JWT_PUBLIC_KEYS`.
const KEY_ID: &str = "main";

/// What handlers share.
#[derive(Clone)]
struct App {
    db: Db,
    hasher: Hasher,
    registrar: Registrar,
    sessions: Sessions,
    verifier: Verifier,
    keys: KeySet,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

/// Serves on `listener` until the process is asked to stop.
///
/// # Errors
/// The database never came, the keys do not belong together, or the first admin could not be made.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let verifier =
        Verifier::new(&config.jwt_public_keys, config.clock.clone()).map_err(anyhow::Error::msg)?;
    let issuer = Issuer::new(KEY_ID, &config.jwt_private_key).map_err(anyhow::Error::msg)?;
    let keys = KeySet::parse(&config.jwt_public_keys)?;
    must_belong_together(&issuer, &verifier, &config.clock)?;
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let kafka = Kafka::new(&config.kafka);
    kafka
        .ensure(&[topics::USER.into(), topics::CONTACT.into()])
        .await;
    outbox::spawn_publisher("user", &db, &kafka, &life);
    let registrar = Registrar {
        db: db.clone(),
        clock: config.clock.clone(),
        donor_ref_secret: config.donor_ref_secret,
    };
    let hasher = Hasher::new(config.argon2_parallel);
    if let Some(admin) = config.admin {
        admin::ensure(&registrar, &hasher, admin).await?;
    }
    let sessions = Sessions {
        db: db.clone(),
        clock: config.clock,
        issuer,
    };
    let app = App {
        db: db.clone(),
        hasher,
        registrar,
        sessions,
        verifier,
        keys,
    };
    let (routes, openapi) = routes::router(app).split_for_parts();
    let health = Health::new().database(&db).kafka(&kafka);
    let service = chassis::http::service(
        routes,
        AppInfo {
            name: "user",
            health,
            openapi,
        },
        &life,
    );
    chassis::http::serve(listener, service, &life).await
}

/// Brings the schema back to the truth after it was put back to a copy that is as old as `since`, or younger: whoever is logged in logs in
/// again, for what was logged out since would be logged in.
/// No process of the service may run.
///
/// # Errors
/// When the database or the broker is away.
pub async fn recover(config: Config, life: Lifecycle, _since: DateTime<Utc>) -> anyhow::Result<()> {
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let now = config.clock.now();
    let mut ended = 0;
    loop {
        let some = db::sessions::end_some(db.pool(), now, SESSIONS).await?;
        if some == 0 {
            break;
        }
        ended += some;
    }
    tracing::info!(ended, "sessions have ended");
    Ok(())
}

/// Describes the routes of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::described().into_openapi()
}

/// A private key whose public half the other services do not know would issue tokens that nobody believes.
fn must_belong_together(issuer: &Issuer, verifier: &Verifier, clock: &Clock) -> anyhow::Result<()> {
    let token = issuer
        .access(UserId::new(), Role::Donor, clock.now())
        .map_err(anyhow::Error::msg)?;
    verifier
        .verify(&token)
        .context("JWT_PRIVATE_KEY does not belong to the key \"main\" of JWT_PUBLIC_KEYS")?;
    Ok(())
}
