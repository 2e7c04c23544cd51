//! What is given for: campaigns, and the moderation that lets them go public.
//!
//! Serves `POST` and `GET /api/campaigns`, `GET /api/campaigns/{id}`, `POST /api/campaigns/{id}/{submit,close}` and
//! `POST /api/admin/campaigns/{id}/{approve,reject}`. Publishes `cfa.campaign.state.v1`, compacted, whose newest
//! snapshot of a campaign is all that other services know of it. Consumes nothing. Owns schema `campaign`:
//! `campaigns`, and the shared outbox and idempotency tables.
//!
//! Invariants: a campaign moves only along [`Move`], each move raises its version by one and commits with its
//! snapshot; two moves of one campaign at once never both succeed from the same version; what is not public exists
//! for its organiser and for admins alone.
//!
//! It knows nothing of gifts: whether a campaign takes one is decided by the pledge service from the snapshots.

mod config;
mod db;
mod domain;
mod error;
mod proposal;
mod recovery;
mod routes;

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
use tokio::net::TcpListener;

pub use config::Config;
pub use domain::{Campaign, Move, Refusal};
pub use error::Code;
pub use proposal::{Fault, Proposal};

/// The schema of this service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/campaign");

/// What handlers share.
#[derive(Clone)]
struct App {
    db: Db,
    clock: Clock,
    verifier: Verifier,
    idempotency: Idempotency,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

/// Serves on `listener` until the process is asked to stop.
///
/// # Errors
/// The database never came, or the keys cannot be read.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let verifier =
        Verifier::new(&config.jwt_public_keys, config.clock.clone()).map_err(anyhow::Error::msg)?;
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let cache = Cache::connect(&config.cache)?;
    let kafka = Kafka::new(&config.kafka);
    kafka.ensure(&[topics::CAMPAIGN.into()]).await;
    outbox::spawn_publisher("campaign", &db, &kafka, &life);
    let idempotency = Idempotency::new(&db, &cache, &verifier);
    let health = Health::new().database(&db).redis(&cache).kafka(&kafka);
    let (routes, openapi) = routes::router(App {
        db,
        clock: config.clock,
        verifier,
        idempotency,
    })
    .split_for_parts();
    let service = chassis::http::service(
        routes,
        AppInfo {
            name: "campaign",
            health,
            openapi,
        },
        &life,
    );
    chassis::http::serve(listener, service, &life).await
}

/// Brings the schema back to the truth after it was put back to a copy that is as old as `since`, or younger: campaigns stand where they were
/// told to stand.
/// No process of the service may run.
///
/// # Errors
/// When the database or the broker is away.
pub async fn recover(config: Config, life: Lifecycle, since: DateTime<Utc>) -> anyhow::Result<()> {
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let kafka = Kafka::new(&config.kafka);
    recovery::put_back(&db, &kafka, since).await
}

/// Describes the routes of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::described().into_openapi()
}
