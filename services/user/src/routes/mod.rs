//! The routes of this service, on one screen.

mod jwks;
mod login;
mod logout;
mod me;
mod refresh;
mod register;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

pub use jwks::KeySet;

/// Every route with its description.
pub fn described() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(register::alias))
        .routes(routes!(login::login))
        .routes(routes!(login::alias))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(me::me))
        .routes(routes!(jwks::jwks))
}

/// Every route, ready to serve.
pub fn router(app: App) -> OpenApiRouter {
    described().with_state(app)
}
