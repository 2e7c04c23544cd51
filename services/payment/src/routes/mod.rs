//! The routes of this service, on one screen.

mod checkout;
mod control;
mod create;
mod disputes;
mod event;
mod exceptions;
mod get;
mod ledger;
mod reconciliation;
mod refund_batches;
mod refunds;
mod snapshots;
mod view;
mod webhook;
mod webhooks;

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
        .merge(deliveries())
}

/// Every route, ready to serve.
pub fn router(app: App) -> OpenApiRouter {
    let once_per_key =
        middleware::from_fn_with_state(app.idempotency.clone(), idempotency::required);
    OpenApiRouter::new()
        .merge(keyed().layer(once_per_key))
        .merge(open())
        .merge(snapshots::internal())
        .merge(deliveries())
        .with_state(app)
}

/// The routes that take an Idempotency-Key.
fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .merge(ledger::keyed())
        .merge(reconciliation::keyed())
        .merge(webhooks::keyed())
        .merge(control::keyed())
        .merge(exceptions::keyed())
        .merge(disputes::keyed())
        .merge(refund_batches::keyed())
        .merge(refunds::keyed())
}

fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get::get))
        .routes(routes!(checkout::checkout))
        .merge(ledger::open())
        .merge(reconciliation::open())
        .merge(webhooks::open())
        .merge(control::open())
        .merge(exceptions::open())
        .merge(disputes::open())
        .merge(refund_batches::open())
        .merge(refunds::open())
}

fn deliveries() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(webhook::stripe))
        .routes(routes!(webhook::payment))
        .routes(routes!(webhook::payments))
        .layer(DefaultBodyLimit::max(WEBHOOK_LIMIT))
}
