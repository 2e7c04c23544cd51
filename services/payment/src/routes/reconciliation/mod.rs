//! Matching the provider's account with the books, for admins.

mod get;
mod start;
mod view;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// What can be read.
pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get::get))
}

/// What takes an Idempotency-Key.
pub fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(start::start))
}
