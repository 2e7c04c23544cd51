//! The routes on one screen.

mod admin;
mod donations;
mod explain;
mod many;
mod totals;

use axum::{Router, middleware};
use common::idempotency;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// The routes and their description.
pub(crate) fn router(app: App) -> OpenApiRouter<()> {
    let once_per_key =
        middleware::from_fn_with_state(app.idempotency.clone(), idempotency::required);
    open()
        .merge(admin::keyed().layer(once_per_key))
        .with_state(app)
}

/// The routes without their state.
pub(crate) fn described() -> OpenApiRouter<App> {
    open().merge(admin::keyed())
}

fn open() -> OpenApiRouter<App> {
    OpenApiRouter::from(Router::new())
        .routes(routes!(totals::get))
        .routes(routes!(totals::alias))
        .routes(routes!(many::many))
        .routes(routes!(explain::explain))
        .routes(routes!(donations::list))
        .merge(admin::open())
}
