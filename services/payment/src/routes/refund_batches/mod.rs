//! What is below `/api/admin/refund-batches`.

mod get;
mod start;
mod turn;
mod view;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// The routes that take an Idempotency-Key.
pub fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(start::start))
        .routes(routes!(turn::approve))
        .routes(routes!(turn::pause))
        .routes(routes!(turn::resume))
}

pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get::get))
}
