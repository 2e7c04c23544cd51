//! `GET /api/users/me`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Problems};
use common::auth::Identity;
use http::header;

use crate::{App, db::accounts, error::Error, session::User};

/// The caller's own account.
#[utoipa::path(
    get, path = "/api/users/me", tag = "users", operation_id = "me",
    security(("bearer" = [])),
    responses((status = 200, description = "the account of the access token", body = User), Problems),
)]
pub async fn me(State(app): State<App>, caller: Identity) -> Result<impl IntoResponse, Error> {
    let account = accounts::active(app.db.pool(), caller.user_id.get()).await?;
    let user = User::try_from(account.ok_or(Error::Unauthenticated)?)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(user)))
}
