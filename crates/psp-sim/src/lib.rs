//! A payment provider for the machine on your desk: the subset of Stripe's API that CareForAll's payment service
//! uses, with Stripe's shapes, states, errors, idempotency and signed webhooks.
//!
//! Serves `/v1/payment_intents`, `/v1/charges`, `/v1/refunds`, `/v1/disputes`, `/v1/balance_transactions`,
//! `/v1/balance`, `/v1/payouts` and `/v1/events`, a small page where a payer can pay or decline at `/pay/{intent}`,
//! another where a payer's bank asks who they are at `/authenticate/{intent}`, and its own controls below `/_sim`.
//!
//! It is a witness: it keeps its own ledger of what it charged, fsynced before each reply, and shares no code with
//! the services that it is asked about. It never charges an intent twice. It forgets nothing at a restart: intents,
//! charges, idempotent replies and webhooks that were not acknowledged all come back from the ledger.

mod call;
mod cards;
mod config;
mod desk;
mod error;
mod faults;
mod form;
mod idempotency;
mod ids;
mod journal;
mod machine;
mod model;
mod page;
mod reply;
mod routes;
mod store;
mod view;
mod webhooks;

use std::sync::Arc;

use chassis::lifecycle::Lifecycle;
use tokio::net::TcpListener;

pub use config::{Config, Rules};

use crate::{
    desk::{Desk, Rate, books_later},
    faults::Mishaps,
    idempotency::Keys,
    journal::Journal,
    model::Line,
    store::Store,
    webhooks::{Dispatcher, Endpoint, Webhooks},
};

/// What the routes share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) desk: Arc<Desk>,
    pub(crate) secret_key: Arc<str>,
}

/// Serves until the process is asked to stop.
///
/// # Errors
/// Fails when the ledger cannot be opened, read or locked, or when the webhook URL is not one.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let endpoint = config.webhook_url.as_ref().map(|url| {
        let events = config.webhook_events.clone();
        Endpoint::new(url, &config.webhook_secret, events, config.clock.clone())
    });
    let store = Arc::new(Store::default());
    let keys = Keys::default();
    let journal = Journal::open(&config.ledger, config.durable, &life, |line| match line {
        Line::Fact(fact) => {
            if let Some(answer) = &fact.answer {
                keys.restore(answer);
            }
            store.install(&Arc::new(fact));
        }
        Line::Payout(fact) => drop(store.install_payout(&Arc::new(fact))),
        Line::Answer(answer) => keys.restore(&answer),
        Line::Delivered(event) => {
            if let Some(notice) = store.notice(&event) {
                notice.deliver();
            }
        }
        Line::Dropped(event) => {
            if let Some(notice) = store.notice(&event) {
                notice.discard();
            }
        }
    })?;
    let (webhooks, commands) = Webhooks::new();
    webhooks.emit(store.undelivered());
    let dispatcher = Dispatcher::new(endpoint.transpose()?, journal.clone(), config.seed);
    life.spawn("webhooks", dispatcher.run(commands, life.clone()));
    let port = listener.local_addr()?.port();
    let public_url = config.rules.public_url.clone();
    let desk = Arc::new(Desk {
        public_url: public_url.unwrap_or_else(|| format!("http://localhost:{port}")),
        store,
        keys,
        journal,
        webhooks,
        mishaps: Mishaps::default(),
        rate: Rate::new(
            config.rules.requests_per_second,
            config.clock.now().timestamp_millis(),
        ),
        clock: config.clock,
        life: life.clone(),
        seed: config.seed,
        settle_after: config.settle_after,
        rules: config.rules,
        till: tokio::sync::Mutex::default(),
    });
    book_what_a_crash_left(&desk).await;
    life.spawn("time", desk.clone().keep_time());
    let app = App {
        desk,
        secret_key: config.secret_key.into(),
    };
    chassis::http::serve(listener, routes::router(app), &life).await
}

async fn book_what_a_crash_left(desk: &Arc<Desk>) {
    let charged = |fact: &Arc<model::Fact>| books_later(fact).then(|| fact.intent_id().to_owned());
    let open: Vec<_> = desk
        .store
        .read()
        .charges
        .all()
        .iter()
        .filter_map(charged)
        .collect();
    for intent in open {
        desk.book(&intent).await;
    }
}
