//! The books, for admins.

mod correct;
mod entries;
mod statement;
mod trial_balance;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// What can be read.
pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(trial_balance::trial_balance))
        .routes(routes!(entries::entries))
        .routes(routes!(statement::statement))
}

/// What takes an Idempotency-Key.
pub fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(correct::correct))
}
