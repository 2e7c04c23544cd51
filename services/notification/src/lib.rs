//! Tells people what happened: thanks donors by mail, and pushes totals to whoever watches a campaign.
//!
//! Serves `GET /api/ws?channel=campaign:{id}` (WebSocket) and `GET /api/admin/notifications/deliveries`.
//! Consumes `cfa.contact.state.v1`, `cfa.campaign.state.v1`, `cfa.payment.events.v1` and, as a live tail,
//! `cfa.totals.events.v1`. Publishes nothing.
//! Owns schema `notification`: `contacts`, `campaigns`, `deliveries`.
//!
//! Invariants: one thank-you for one captured payment, however often its events come, by a constraint; a mail waits
//! for its donor's contact, and for nothing else for long; no transaction is open while a mail server is talked to;
//! a donor's name and address lie in `contacts` alone and are never logged. Between the mail server's acceptance and
//! our note of it a crash may send a mail twice, both times with the same Message-ID.

mod config;
mod consumers;
mod db;
mod domain;
mod error;
mod feed;
mod mailer;
mod routes;
mod template;
mod thanks;
mod workers;

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::{
    clock::Clock,
    db::Db,
    http::{AppInfo, Health},
    kafka::Kafka,
    lifecycle::Lifecycle,
};
use chrono::{DateTime, Utc};
use common::{auth::Verifier, events::topics};
use tokio::{net::TcpListener, sync::Notify};

use feed::Feed;
use mailer::Mailer;

pub use config::{Config, FeedLimits};
pub use domain::{Channel, DeliveryStatus, backoff};
pub use template::{Letter, thank_you};

/// The schema of this service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/notification");

/// As whom this service consumes, and what.
const GROUP: &str = "notification";
const HEARD: [topics::Topic; 3] = [topics::CONTACT, topics::CAMPAIGN, topics::PAYMENT];

/// What handlers, consumers and workers share.
#[derive(Clone)]
struct App {
    db: Db,
    clock: Clock,
    verifier: Verifier,
    mailer: Mailer,
    feed: Feed,
    /// Wakes the mail worker: something may have become due.
    due: Arc<Notify>,
    life: Lifecycle,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

/// Serves on `listener` until the process is asked to stop.
///
/// # Errors
/// The database never came, or a key, the mail server's URL or the sender's address is not one.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let verifier =
        Verifier::new(&config.jwt_public_keys, config.clock.clone()).map_err(anyhow::Error::msg)?;
    let mailer = Mailer::new(&config.smtp_url, &config.mail_from)?;
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let kafka = Kafka::new(&config.kafka);
    let live = [topics::TOTALS.into()];
    let app = App {
        db,
        clock: config.clock,
        verifier,
        mailer,
        feed: Feed::new(config.feed),
        due: Arc::default(),
        life: life.clone(),
    };
    kafka.consume(
        GROUP,
        &HEARD.map(Into::into),
        consumers::Facts::new(&app),
        &life,
    );
    kafka.tail(&live, consumers::Totals::new(&app), &life);
    workers::mail::spawn(&app, &life);
    let health = health(&app, &kafka);
    let (routes, openapi) = routes::described().with_state(app).split_for_parts();
    let service = chassis::http::service(
        routes,
        AppInfo {
            name: "notification",
            health,
            openapi,
        },
        &life,
    );
    chassis::http::serve(listener, service, &life).await
}

/// Brings the schema back to the truth after it was put back to a copy that is as old as `since`, or younger: what was heard since is heard
/// again. Whoever was thanked since may be thanked once more, under the same Message-ID: nobody knows of it but the mail server.
/// No process of the service may run.
///
/// # Errors
/// When the database or the broker is away.
pub async fn recover(config: Config, life: Lifecycle, since: DateTime<Utc>) -> anyhow::Result<()> {
    // The schema may be older than this program.
    Db::connect(&config.db, &MIGRATOR, &life).await?;
    let kafka = Kafka::new(&config.kafka);
    kafka.rewind(GROUP, &HEARD.map(Into::into), since).await
}

/// Describes the routes of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::described().into_openapi()
}

fn health(app: &App, kafka: &Kafka) -> Health {
    let mailer = app.mailer.clone();
    Health::new()
        .database(&app.db)
        .kafka(kafka)
        .with("smtp", false, move || {
            let mailer = mailer.clone();
            async move { mailer.healthy().await }
        })
}
