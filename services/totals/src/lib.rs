//! What each campaign has raised, ready to be read.
//!
//! Serves `GET /api/campaigns/{id}/totals` (also as `/api/totals/{id}`), `GET /api/totals?ids=`,
//! `GET /api/totals/{id}/explain`, `GET /api/campaigns/{id}/donations`, and for admins what is below
//! `/api/admin/totals`. Reads `GET /internal/payments` of the payment service. Consumes `cfa.campaign.state.v1`, `cfa.pledge.events.v1` and `cfa.payment.events.v1`; publishes
//! `cfa.totals.events.v1`. Owns schema `totals`: `campaigns`, `campaign_totals`, `payment_watermarks`,
//! `campaign_donors`, `donations`, `totals_moves`, `rebuilds`, `shadow_totals`, and the shared outbox and idempotency
//! tables.
//!
//! Invariants: money comes from payment snapshots alone, each applied as its difference to what was applied of that
//! payment before, so that any order, repetition or gap of the snapshots gives the same totals; `raised` is
//! captured less refunded less lost disputes, never clamped; a read takes one row and sums nothing; the moves of a campaign
//! sum to its row.
//!
//! It decides nothing: no campaign, pledge or payment changes because of a total.

mod alarm;
mod config;
mod consumers;
mod db;
mod domain;
mod drift;
mod error;
mod payments;
mod projection;
mod rebuild;
mod recovery;
mod replies;
mod routes;
mod sums;
mod workers;

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{
    cache::Cache,
    clock::Clock,
    db::Db,
    http::{AppInfo, Health},
    kafka::Kafka,
    lifecycle::Lifecycle,
};
use chrono::{DateTime, Utc};
use common::{auth::Verifier, events::topics, idempotency::Idempotency, outbox};
use tokio::{net::TcpListener, sync::Notify};

pub use config::Config;
use consumers::Snapshots;
use payments::Payments;
use rebuild::Rebuilder;
use replies::Replies;

/// The schema of this service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/totals");

/// As whom this service consumes, and what.
const GROUP: &str = "totals";
const HEARD: [topics::Topic; 3] = [topics::CAMPAIGN, topics::PLEDGE, topics::PAYMENT];

/// What handlers share.
#[derive(Clone)]
struct App {
    db: Db,
    clock: Clock,
    verifier: Verifier,
    idempotency: Idempotency,
    replies: Replies,
    /// Told when a rebuild begins.
    begun: Arc<Notify>,
    findings: drift::Shared,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

/// Serves on `listener` until the process is asked to stop.
///
/// # Errors
/// The database never came, or the configuration of the cache or the broker is not one.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let verifier =
        Verifier::new(&config.jwt_public_keys, config.clock.clone()).map_err(anyhow::Error::msg)?;
    let payments = Payments::new(config.payment_urls, config.service_secret)?;
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let cache = Cache::connect(&config.cache)?;
    let kafka = Kafka::new(&config.kafka);
    let replies = Replies::new(&db, &cache);
    let changed = Arc::new(Notify::new());
    kafka.ensure(&[topics::TOTALS.into()]).await;
    outbox::spawn_publisher("totals", &db, &kafka, &life);
    workers::announce::spawn(&db, &replies, &changed, &life);
    workers::refresh::spawn(&replies, &life);
    let app = App {
        idempotency: Idempotency::new(&db, &cache, &verifier),
        db: db.clone(),
        clock: config.clock.clone(),
        verifier,
        replies: replies.clone(),
        begun: Arc::new(Notify::new()),
        findings: drift::Shared::default(),
    };
    let rebuilder = Rebuilder {
        db: db.clone(),
        payments: payments.clone(),
        replies: replies.clone(),
        changed: changed.clone(),
        clock: config.clock.clone(),
        page: config.rebuild_page,
    };
    workers::rebuild::spawn(rebuilder, &app.begun, &life);
    let auditor = workers::audit::Auditor {
        db: db.clone(),
        payments,
        clock: config.clock.clone(),
        pause: config.audit_pause,
        patience: chrono::Duration::from_std(config.audit_patience)?,
        findings: app.findings.clone(),
    };
    workers::audit::spawn(auditor, &life);
    let projection = Snapshots {
        db: db.clone(),
        replies,
        changed,
        clock: config.clock,
        findings: app.findings.clone(),
    };
    kafka.consume(GROUP, &HEARD.map(Into::into), projection, &life);
    let health = Health::new().database(&db).redis(&cache).kafka(&kafka);
    let (routes, openapi) = routes::router(app).split_for_parts();
    let info = AppInfo {
        name: "totals",
        health,
        openapi,
    };
    let service = chassis::http::service(routes, info, &life);
    chassis::http::serve(listener, service, &life).await
}

/// Brings the schema back to the truth after it was put back to a copy that is as old as `since`, or younger: versions go on above those that
/// were told, and what was heard since is heard again.
/// No process of the service may run.
///
/// # Errors
/// When the database or the broker is away.
pub async fn recover(config: Config, life: Lifecycle, since: DateTime<Utc>) -> anyhow::Result<()> {
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let kafka = Kafka::new(&config.kafka);
    recovery::outrun(&db, &kafka, config.clock.now(), since).await?;
    kafka.rewind(GROUP, &HEARD.map(Into::into), since).await
}

/// Describes the routes of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::described().into_openapi()
}
