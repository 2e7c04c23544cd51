//! `POST /api/auth/logout`

use axum::extract::State;
use chassis::http::{Json, Problems};
use http::StatusCode;

use super::refresh::Presented;
use crate::{App, error::Error};

/// Ends a session: its refresh tokens no longer work.
///
/// Its access token lives to its own end, at most 15 minutes. A token that is of no session gets the same reply.
#[utoipa::path(
    post, path = "/api/auth/logout", tag = "auth", operation_id = "logout",
    request_body = Presented, security(()),
    responses((status = 204, description = "the session is over"), Problems),
    extensions(("x-idempotent-because" = json!("ending a session twice ends it once"))),
)]
pub async fn logout(
    State(app): State<App>,
    Json(body): Json<Presented>,
) -> Result<StatusCode, Error> {
    app.sessions.end(&body.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}
