//! The routes of this service, on one screen.

mod jwks;
mod login;
mod logout;
mod me;
mod refresh;
mod register;

use axum::routing::post;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

pub use jwks::KeySet;

/// Every route with its description. The aliases are not described apart: they are the same operations.
pub fn described() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(me::me))
        .routes(routes!(jwks::jwks))
        .route("/api/users/register", post(register::register))
        .route("/api/users/login", post(login::login))
}

/// Every route, ready to serve.
pub fn router(app: App) -> OpenApiRouter {
    described().with_state(app)
}
