//! `POST /api/auth/refresh`

use axum::{extract::State, response::IntoResponse};
use chassis::http::Json;
use http::header;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{App, error::Error, session::Session};

chassis::problems!(Refusals:
    401 invalid_refresh_token,
);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Presented {
    /// The refresh token of the last reply.
    pub refresh_token: String,
}

/// Continues a session with a new pair of tokens.
///
/// The refresh token that was sent does not work again.
#[utoipa::path(
    post, path = "/api/auth/refresh", tag = "auth", operation_id = "refresh",
    request_body = Presented, security(()),
    responses((status = 200, description = "the session goes on", body = Session), Refusals),
    extensions(("x-idempotent-because" = json!("the refresh token is its own key and works once, and a stored reply would keep its tokens"))),
)]
pub async fn refresh(
    State(app): State<App>,
    Json(body): Json<Presented>,
) -> Result<impl IntoResponse, Error> {
    let session = app.sessions.rotate(&body.refresh_token).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(session)))
}
