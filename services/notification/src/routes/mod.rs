//! The routes of this service, on one screen.

mod deliveries;
mod socket;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// Every route with its description.
pub fn described() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(socket::socket))
        .routes(routes!(deliveries::deliveries))
}
