//! Turns pledges into money, once.
//!
//! Serves `POST /api/payments`, `GET /api/payments/{id}`, `GET /api/payments/{id}/checkout`,
//! `POST /api/webhooks/psp/stripe`, and for admins what is below `/api/admin/ledger`. Consumes `pledge.created` of `cfa.pledge.events.v1`; publishes
//! `cfa.payment.events.v1`, keyed by the pledge. Owns schema `payment`: `payments`, `payment_transitions`,
//! `payment_attempts`, `webhook_events`, the books (`ledger_sets`, `ledger_entries`, `ledger_holds`), and the shared outbox and idempotency tables.
//!
//! Invariants: a pledge has at most one payment that can still be charged, and a payment at most one intent at the
//! provider; a state only moves along `common::payment::apply`; an event of the provider has its effect once, in the
//! transaction that stores its verdict; captured money changes together with its entries in the books, which sum to
//! zero and are never edited; amounts are never taken from a webhook's word alone; no row changes without
//! its event in the same transaction; client secrets are not stored, except sealed. The provider is never called
//! inside a transaction.
//!
//! What contradicts the record, or concerns a payment that is not known, is stored and alarmed, and moves nothing.
//! This crate never reads another schema and never sums totals.

mod alarm;
pub mod breaker;
mod charge;
mod config;
mod consumers;
mod court;
mod db;
pub mod domain;
pub mod error;
mod ledger;
mod opening;
pub mod provider;
mod recording;
mod routes;
pub mod seal;
pub mod signature;
mod workers;

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::extract::FromRef;
use chassis::{
    cache::Cache,
    clock::Clock,
    db::Db,
    http::{AppInfo, Health},
    kafka::Kafka,
    lifecycle::Lifecycle,
};
use common::{
    auth::{Verifier, tokens::Signer},
    events::topics,
    group_commit::Writer,
    idempotency::Idempotency,
    outbox,
};
use secrecy::SecretString;
use tokio::net::TcpListener;

use charge::Charges;
use consumers::pledge_created::PledgeCreated;
use court::Court;
use seal::Sealer;

pub use config::{Config, Psp};

/// The schema of this service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/payment");

/// What handlers share.
#[derive(Clone)]
struct App(Arc<Shared>);

struct Shared {
    db: Db,
    clock: Clock,
    life: Lifecycle,
    verifier: Verifier,
    signer: Signer,
    idempotency: Idempotency,
    sealer: Sealer,
    charges: Arc<Charges>,
    court: Writer<Court>,
    settings: Arc<Settings>,
}

/// What does not change while the process runs.
struct Settings {
    webhook_secrets: Vec<SecretString>,
    livemode: bool,
    resolve_every: Duration,
    resolve_after: chrono::Duration,
    weigh_every: Duration,
}

impl Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

/// Serves on `listener` until the process is asked to stop.
///
/// # Errors
/// The database never came, or the configuration cannot be used.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let verifier =
        Verifier::new(&config.jwt_public_keys, config.clock.clone()).map_err(anyhow::Error::msg)?;
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let cache = Cache::connect(&config.cache)?;
    let kafka = Kafka::new(&config.kafka);
    kafka
        .ensure(&[topics::PLEDGE.into(), topics::PAYMENT.into()])
        .await;
    outbox::spawn_publisher("payment", &db, &kafka, &life);
    let hear = PledgeCreated::new(&db, &config.clock);
    kafka.consume("payment", &[topics::PLEDGE.into()], hear, &life);
    let resolve_after = chrono::Duration::from_std(config.resolve_after)?;
    let charges = Charges::new(&config.psp, resolve_after, &config.clock, &db, &life)?;
    let app = App(Arc::new(Shared {
        idempotency: Idempotency::new(&db, &cache, &verifier),
        signer: Signer::new(&config.token_secret),
        sealer: Sealer::new(&config.token_secret),
        charges: Arc::new(charges),
        court: Writer::spawn("court", Court::new(config.clock.clone()), &db, &life),
        settings: Arc::new(Settings {
            livemode: config.psp.is_live(),
            webhook_secrets: config.psp.webhook_secrets,
            resolve_every: config.resolve_every,
            resolve_after,
            weigh_every: config.weigh_every,
        }),
        db,
        clock: config.clock,
        life: life.clone(),
        verifier,
    }));
    life.spawn("resolver", workers::resolve::run(app.clone()));
    life.spawn("scales", workers::balance::run(app.clone()));
    let health = Health::new().database(&app.db).kafka(&kafka).redis(&cache);
    let (routes, openapi) = routes::router(app).split_for_parts();
    let service = chassis::http::service(
        routes,
        AppInfo {
            name: "payment",
            health,
            openapi,
        },
        &life,
    );
    chassis::http::serve(listener, service, &life).await
}

/// Describes the routes of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::described().into_openapi()
}
