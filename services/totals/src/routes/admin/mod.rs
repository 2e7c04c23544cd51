//! What admins do about totals.

mod drift;
mod rebuild;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// What can be read.
pub(crate) fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(rebuild::find))
        .routes(routes!(drift::drift))
}

/// What takes an Idempotency-Key.
pub(crate) fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(rebuild::all))
        .routes(routes!(rebuild::one))
}
