//! Takes pledges, once each.
//!
//! Serves `POST /api/pledges`, `GET /api/pledges/me`, and `GET /api/pledges/{id}` with its `/timeline`, its `/receipt` and
//! `POST .../cancel`.
//! Consumes campaign state, account events and payment events; publishes pledge events and the contacts that
//! donors leave. Owns schema `pledge`: `pledges`, their `other_attempts`, `pledge_timeline`, `receipts` and their numbers, the projections
//! `campaigns` and `donors`, and the shared outbox and idempotency tables.
//!
//! Invariants: a key makes at most one pledge; pledge, events and reply commit together; the status only follows
//! payment snapshots, newest first, of the payment that stands; a donor who can be known again gives the same twice
//! within minutes only on purpose; each payment that took money has one receipt, numbered without gaps and never changed.
//! This service never calls another one, keeps no e-mail address and no name that the donor did not choose to show, and
//! never sums.

mod campaigns;
mod config;
mod consumers;
mod db;
mod domain;
mod error;
mod gifts;
mod recovery;
mod reply;
mod routes;
mod twins;

use std::{ops::Deref, sync::Arc};

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
use common::{
    auth::{Verifier, tokens::Signer},
    events::topics,
    group_commit::Writer,
    idempotency::Idempotency,
    outbox,
};
use secrecy::SecretString;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;

pub use config::Config;
pub use routes::openapi;

/// The schema's migrations.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/pledge");

/// What this service consumes, each topic as a group of its own.
const HEARD: [(&str, topics::Topic); 3] = [
    ("pledge-campaigns", topics::CAMPAIGN),
    ("pledge-donors", topics::USER),
    ("pledge-payments", topics::PAYMENT),
];

/// What the handlers share.
#[derive(Clone)]
struct App(Arc<Shared>);

struct Shared {
    db: Db,
    clock: Clock,
    verifier: Verifier,
    signer: Signer,
    idempotency: Idempotency,
    gifts: Writer<gifts::Gifts>,
    known_gifts: Writer<twins::Twins>,
    campaigns: campaigns::Campaigns,
    covered_fee_bps: u32,
    donor_ref_secret: Arc<SecretString>,
    public_url: Arc<str>,
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

/// Runs the service until `life` is asked to stop.
///
/// # Errors
/// When the configuration does not fit, or the database does not come up.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let cache = Cache::connect(&config.cache)?;
    let kafka = Kafka::new(&config.kafka);
    let clock = config.clock;
    let verifier =
        Verifier::new(&config.jwt_public_keys, clock.clone()).map_err(anyhow::Error::msg)?;
    let signer = Signer::new(&config.token_secret);
    let twins = twins::Twins {
        signer: signer.clone(),
    };
    let app = App(Arc::new(Shared {
        idempotency: Idempotency::new(&db, &cache, &verifier),
        gifts: Writer::spawn("pledge-writer", gifts::Gifts, &db, &life),
        known_gifts: Writer::spawn("pledge-twins", twins, &db, &life),
        campaigns: campaigns::Campaigns::new(),
        covered_fee_bps: config.covered_fee_bps,
        signer,
        donor_ref_secret: Arc::new(config.donor_ref_secret),
        public_url: config.public_url.into(),
        db: db.clone(),
        clock: clock.clone(),
        verifier,
    }));
    outbox::spawn_publisher("pledge", &db, &kafka, &life);
    kafka
        .ensure(&[topics::PLEDGE.into(), topics::CONTACT.into()])
        .await;
    let [campaigns, donors, payments] = HEARD;
    let known = app.campaigns.clone();
    kafka.consume(
        campaigns.0,
        &[campaigns.1.into()],
        consumers::Campaigns {
            db: db.clone(),
            known,
        },
        &life,
    );
    kafka.consume(
        donors.0,
        &[donors.1.into()],
        consumers::Donors { db: db.clone() },
        &life,
    );
    kafka.consume(
        payments.0,
        &[payments.1.into()],
        consumers::Payments {
            db: db.clone(),
            clock,
        },
        &life,
    );
    let health = Health::new().database(&db).kafka(&kafka).redis(&cache);
    let info = AppInfo {
        name: "pledge",
        health,
        openapi: openapi(),
    };
    chassis::http::serve(
        listener,
        chassis::http::service(routes::router(app), info, &life),
        &life,
    )
    .await
}

/// Brings the schema back to the truth after it was put back to a copy that is as old as `since`, or younger: what was
/// told is known again, and what was heard since is heard again. No process of the service may run.
///
/// # Errors
/// When the database or the broker is away.
pub async fn recover(config: Config, life: Lifecycle, since: DateTime<Utc>) -> anyhow::Result<()> {
    let db = Db::connect(&config.db, &MIGRATOR, &life).await?;
    let kafka = Kafka::new(&config.kafka);
    let signer = Signer::new(&config.token_secret);
    recovery::put_back(&db, &kafka, &signer, &config.public_url, since).await?;
    for (group, topic) in HEARD {
        kafka.rewind(group, &[topic.into()], since).await?;
    }
    Ok(())
}
