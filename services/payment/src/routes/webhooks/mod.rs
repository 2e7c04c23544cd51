//! The provider's deliveries, for admins.

mod get;
mod list;
mod replay;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// What can be read.
pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(get::get))
}

/// What takes an Idempotency-Key.
pub fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(replay::replay))
}
