//! The routes on one screen.

mod donations;
mod totals;

use axum::Router;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// The routes and their description.
pub(crate) fn router(app: App) -> OpenApiRouter<()> {
    described().with_state(app)
}

/// The routes without their state.
pub(crate) fn described() -> OpenApiRouter<App> {
    OpenApiRouter::from(Router::new())
        .routes(routes!(totals::get))
        .routes(routes!(totals::alias))
        .routes(routes!(donations::list))
}
