//! The routes of this service, on one screen.

mod checkout;
mod create;
mod get;
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
        .merge(create())
        .routes(routes!(get::get))
        .routes(routes!(checkout::checkout))
        .merge(webhooks())
}

/// Every route, ready to serve.
pub fn router(app: App) -> OpenApiRouter {
    let keyed = middleware::from_fn_with_state(app.idempotency.clone(), idempotency::required);
    OpenApiRouter::new()
        .merge(create().layer(keyed))
        .routes(routes!(get::get))
        .routes(routes!(checkout::checkout))
        .merge(webhooks())
        .with_state(app)
}

fn create() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create::create))
}

fn webhooks() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(webhook::stripe))
        .layer(DefaultBodyLimit::max(WEBHOOK_LIMIT))
}
