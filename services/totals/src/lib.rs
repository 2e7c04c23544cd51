//! What each campaign has raised, ready to be read.
//!
//! Serves `GET /api/campaigns/{id}/totals` (also as `/api/totals/{id}`) and `GET /api/campaigns/{id}/donations`.
//! Consumes `cfa.campaign.state.v1`, `cfa.pledge.events.v1` and `cfa.payment.events.v1`; publishes
//! `cfa.totals.events.v1`. Owns schema `totals`: `campaign_totals`, `payment_watermarks`, `campaign_donors`,
//! `donations`, and the shared outbox table.
//!
//! Invariants: money comes from payment snapshots alone, each applied as its difference to what was applied of that
//! payment before, so that any order, repetition or gap of the snapshots gives the same totals; `raised` is
//! captured less refunded less lost disputes, never clamped; a read takes one row and sums nothing.
//!
//! It decides nothing: no campaign, pledge or payment changes because of a total.

mod config;
mod consumers;
mod db;
mod domain;
mod projection;
mod replies;
mod routes;
mod workers;

use std::sync::Arc;

use chassis::{
    cache::Cache,
    db::Db,
    http::{AppInfo, Health},
    kafka::Kafka,
    lifecycle::Lifecycle,
};
use common::{events::topics, outbox};
use tokio::{net::TcpListener, sync::Notify};

pub use config::Config;
use consumers::Snapshots;
use replies::Replies;

/// The schema of this service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/totals");

/// What handlers share.
#[derive(Clone)]
struct App {
    db: Db,
    replies: Replies,
}

/// Serves on `listener` until the process is asked to stop.
///
/// # Errors
/// The database never came, or the configuration of the cache or the broker is not one.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let cache = Cache::connect(&config.cache)?;
    let kafka = Kafka::new(&config.kafka);
    let replies = Replies::new(&db, &cache);
    let changed = Arc::new(Notify::new());
    kafka.ensure(&[topics::TOTALS.into()]).await;
    outbox::spawn_publisher("totals", &db, &kafka, &life);
    workers::announce::spawn(&db, &changed, &life);
    workers::refresh::spawn(&replies, &life);
    let projection = Snapshots {
        db: db.clone(),
        replies: replies.clone(),
        changed,
        clock: config.clock,
    };
    let consumed = [topics::CAMPAIGN, topics::PLEDGE, topics::PAYMENT];
    kafka.consume("totals", &consumed.map(Into::into), projection, &life);
    let health = Health::new().database(&db).redis(&cache).kafka(&kafka);
    let (routes, openapi) = routes::router(App { db, replies }).split_for_parts();
    let info = AppInfo {
        name: "totals",
        health,
        openapi,
    };
    let service = chassis::http::service(routes, info, &life);
    chassis::http::serve(listener, service, &life).await
}

/// Describes the routes of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::described().into_openapi()
}
