//! Turns pledges into money, once.
//!
//! Serves `POST /api/payments`, `GET /api/payments/{id}`, `GET /api/payments/{id}/checkout`,
//! `/api/payments/{id}/refunds`, `GET /api/payments/{id}/transitions`, `GET /api/payments/state-machine`,
//! `POST /api/webhooks/psp/stripe`, for other services `GET /internal/payments`, and for admins what is below
//! `/api/admin/` with `ledger`, `payments` (capture, void, the switch of new charges), `webhooks`, `disputes`,
//! `refund-batches`, `reconciliation` and `exceptions`. Consumes `pledge.created` and `pledge.cancel_requested` of
//! `cfa.pledge.events.v1`, and `cfa.campaign.state.v1`; publishes `cfa.payment.events.v1`, keyed by the pledge. Owns
//! schema `payment`: payments with their history, tries, refunds, disputes and captures; the provider's events and what
//! was decided about them; the books (`ledger_sets`, `ledger_entries`, `ledger_holds`); and the shared outbox and
//! idempotency tables.
//!
//! Invariants: a pledge has at most one payment that can still be charged, and a payment at most one intent at the
//! provider; a state only moves along `common::payment::apply`; an event of the provider has its effect once, in the
//! transaction that stores its verdict; captured money changes together with its entries in the books, which sum to
//! zero and are never edited; amounts are never taken from a webhook's word alone; no row changes without
//! its event in the same transaction; client secrets are not stored, except sealed. The provider is never called
//! inside a transaction.
//!
//! What contradicts the record moves nothing until the provider was asked; what concerns a payment that is not known
//! waits for it. Nothing depends on webhooks: the provider is asked about every payment that can still move.
//! This crate never reads another schema and never sums totals.

mod alarm;
mod app;
pub mod breaker;
mod cadence;
mod charge;
mod config;
mod consumers;
mod control;
mod court;
mod db;
mod delivery;
pub mod domain;
pub mod error;
mod holds;
mod inquiry;
mod late;
mod ledger;
mod matching;
mod money_back;
mod opening;
mod paying_out;
pub mod provider;
mod recording;
mod recovery;
mod refunding;
mod rejections;
mod replay;
mod routes;
pub mod seal;
pub mod signature;
mod standing;
mod suspense;
mod switch;
mod transition;
mod unanswered;
mod velocity;
mod verdict;
mod workers;

use std::sync::Arc;

use chassis::{
    cache::Cache,
    db::Db,
    http::{AppInfo, Health},
    kafka::Kafka,
    lifecycle::Lifecycle,
};
use chrono::{DateTime, Utc};
use common::{
    auth::{ServiceKey, Verifier, tokens::Signer},
    events::topics,
    group_commit::Writer,
    idempotency::Idempotency,
    openapi::credentials,
    outbox,
};
use tokio::net::TcpListener;

use app::{App, Settings, Shared};
pub use cadence::Cadences;
use charge::Charges;
use consumers::Facts;
use court::Court;
use provider::Stripe;
use rejections::Rejections;
use seal::Sealer;
use switch::Switch;
use velocity::{Clients, Declines};

pub use standing::{Pace, Pacer};

pub use config::{Config, Psp};

/// The schema of this service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/payment");

/// As whom this service consumes, and what.
const GROUP: &str = "payment";
const HEARD: [topics::Topic; 2] = [topics::PLEDGE, topics::CAMPAIGN];

/// Serves on `listener` until the process is asked to stop.
///
/// # Errors
/// The database never came, or the configuration cannot be used.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let verifier =
        Verifier::new(&config.jwt_public_keys, config.clock.clone()).map_err(anyhow::Error::msg)?;
    alarm::prepare();
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let cache = Cache::connect(&config.cache)?;
    let kafka = Kafka::new(&config.kafka);
    kafka
        .ensure(&[
            topics::PLEDGE.into(),
            topics::CAMPAIGN.into(),
            topics::PAYMENT.into(),
        ])
        .await;
    outbox::spawn_publisher("payment", &db, &kafka, &life);
    let facts = Facts::new(&db, &config.clock);
    kafka.consume(GROUP, &HEARD.map(Into::into), facts, &life);
    let resolve_after = chrono::Duration::from_std(config.resolve_after)?;
    let charges = Charges::new(
        &config.psp,
        config.cadences.psp_rate,
        resolve_after,
        &config.clock,
        &db,
        &life,
    )?;
    let app = App::new(Shared {
        idempotency: Idempotency::new(&db, &cache, &verifier),
        service_key: ServiceKey::new(&config.service_secret),
        signer: Signer::new(&config.token_secret),
        sealer: Sealer::new(&config.token_secret),
        charges: Arc::new(charges),
        rejections: Rejections::default(),
        clients: Clients::new(&config.token_secret),
        declines: Writer::spawn("declines", Declines::new(config.clock.clone()), &db, &life),
        switch: Switch::default(),
        court: Writer::spawn("court", Court::new(config.clock.clone()), &db, &life),
        settings: Arc::new(Settings {
            livemode: config.psp.is_live(),
            webhook_secrets: config.psp.webhook_secrets,
            resolve_every: config.resolve_every,
            resolve_after,
            weigh_every: config.weigh_every,
            cadences: config.cadences,
            outbox_stuck_after: config.outbox_stuck_after,
            pace: config.pace,
        }),
        db,
        clock: config.clock,
        life: life.clone(),
        verifier,
    });
    life.spawn("reconciler", workers::reconcile::run(app.clone()));
    life.spawn("parked", workers::parked::run(app.clone()));
    life.spawn("sweep", workers::sweep::run(app.clone()));
    life.spawn("matching", workers::matching::run(app.clone()));
    life.spawn("closing", workers::closing::run(app.clone()));
    life.spawn("exceptions", workers::exceptions::run(app.clone()));
    life.spawn("refunds", workers::refunds::run(app.clone()));
    life.spawn("standing", workers::standing::run(app.clone()));
    life.spawn("scales", workers::balance::run(app.clone()));
    let health = Health::new().database(&app.db).kafka(&kafka).redis(&cache);
    let (routes, openapi) = routes::router(app).split_for_parts();
    let service = chassis::http::service(
        routes,
        AppInfo {
            name: "payment",
            health,
            openapi: credentials(openapi),
        },
        &life,
    );
    chassis::http::serve(listener, service, &life).await
}

/// Brings the schema back to the truth after it was put back to a copy that is as old as `since`, or younger: what was
/// promised and told since is made again, what was heard since is heard again, and the provider is asked about everything
/// that it may have moved. No process of the service may run.
///
/// # Errors
/// When the database, the broker or the provider is away.
pub async fn recover(config: Config, life: Lifecycle, since: DateTime<Utc>) -> anyhow::Result<()> {
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let kafka = Kafka::new(&config.kafka);
    let psp = Stripe::new(&config.psp, config.cadences.psp_rate, &config.clock)?;
    recovery::put_right(&db, &kafka, &psp, config.clock.now(), since).await?;
    kafka.rewind(GROUP, &HEARD.map(Into::into), since).await
}

/// Describes the routes of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    credentials(routes::described().into_openapi())
}
