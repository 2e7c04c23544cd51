//! The routes of the service.

mod access;
mod cancel;
mod create;
mod get;
mod mine;
mod receipt;
mod timeline;

use axum::{Router, middleware};
use common::{idempotency, openapi::credentials};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

#[derive(OpenApi)]
#[openapi(tags((name = "pledges", description = "Promises of donors")))]
struct Document;

fn table() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(mine::mine))
        .routes(routes!(get::get))
        .routes(routes!(timeline::timeline))
        .routes(routes!(receipt::receipt))
}

fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .routes(routes!(cancel::cancel))
}

/// The routes with their handlers.
pub fn router(app: App) -> Router {
    let keyed = keyed().layer(middleware::from_fn_with_state(
        app.idempotency.clone(),
        idempotency::required,
    ));
    let (router, _) = table().merge(keyed).with_state(app).split_for_parts();
    router
}

/// The description of the routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    credentials(table().merge(keyed()).into_openapi())
}
