//! The routes of this service, on one screen.

mod checkout;
mod create;
mod get;
mod ledger;
mod view;
mod webhook;

use axum::{extract::DefaultBodyLimit, middleware};
use common::idempotency;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// The largest webhook body, in bytes.
const WEBHOOK_LIMIT: usize = 256 * 1024;

/// Every route with its description.
pub fn described() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(keyed())
        .merge(open())
        .merge(webhooks())
}

/// Every route, ready to serve.
pub fn router(app: App) -> OpenApiRouter {
    let once_per_key =
        middleware::from_fn_with_state(app.idempotency.clone(), idempotency::required);
    OpenApiRouter::new()
        .merge(keyed().layer(once_per_key))
        .merge(open())
        .merge(webhooks())
        .with_state(app)
}

/// The routes that take an Idempotency-Key.
fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .merge(ledger::keyed())
}

fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get::get))
        .routes(routes!(checkout::checkout))
        .merge(ledger::open())
}

fn webhooks() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(webhook::stripe))
        .layer(DefaultBodyLimit::max(WEBHOOK_LIMIT))
}
