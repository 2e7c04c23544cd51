//! The routes of this service, on one screen.

mod approve;
mod close;
mod create;
mod get;
mod list;
mod moves;
mod reject;
mod stop;
mod submit;
pub mod view;

use axum::middleware::from_fn_with_state;
use common::idempotency;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

/// Every route with its description.
pub fn described() -> OpenApiRouter<App> {
    open().merge(keyed())
}

/// Every route, ready to serve.
pub fn router(app: App) -> OpenApiRouter {
    let once_per_key = from_fn_with_state(app.idempotency.clone(), idempotency::required);
    open().merge(keyed().layer(once_per_key)).with_state(app)
}

fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(get::get))
}

/// The routes that take an Idempotency-Key.
fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .routes(routes!(submit::submit))
        .routes(routes!(close::close))
        .routes(routes!(approve::approve))
        .routes(routes!(reject::reject))
        .routes(routes!(stop::cancel))
        .routes(routes!(stop::suspend))
        .routes(routes!(stop::resume))
}
