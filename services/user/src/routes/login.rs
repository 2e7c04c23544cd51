//! `POST /api/auth/login`

use axum::{extract::State, response::IntoResponse};
use chassis::http::Json;
use http::header;
use serde::Deserialize;
use utoipa::ToSchema;

use common::contact::Email;

use crate::{App, db::accounts, error::Error, session::Session};

chassis::problems!(Refusals:
    401 invalid_credentials,
    503 busy,
);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The address of the account.
    #[schema(example = "ada@example.org")]
    email: String,
    /// Its password.
    #[schema(format = Password)]
    password: String,
}

/// Begins a session.
///
/// An unknown address costs the same work and gets the same reply as a wrong password.
#[utoipa::path(
    post, path = "/api/auth/login", tag = "auth", operation_id = "login",
    request_body = Login, security(()),
    responses((status = 200, description = "a session", body = Session), Refusals),
    extensions(("x-idempotent-because" = json!("a repeated login only begins a further session, and a stored reply would keep its tokens"))),
)]
pub async fn login(
    State(app): State<App>,
    Json(body): Json<Login>,
) -> Result<impl IntoResponse, Error> {
    // What is no address has no account, and is answered as slowly.
    let found = match Email::parse(&body.email) {
        Ok(email) => accounts::credentials(app.db.pool(), email.key()).await?,
        Err(_) => None,
    };
    let (hash, account) = found
        .map(|found| (found.password_hash, found.account))
        .unzip();
    let right = app.hasher.verify(body.password, hash).await?;
    let Some(account) = account.filter(|_| right) else {
        tracing::info!("login refused");
        return Err(Error::InvalidCredentials);
    };
    let session = app.sessions.begin(account).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(session)))
}

/// Another name of `POST /api/auth/login`.
#[utoipa::path(
    post, path = "/api/users/login", tag = "users", operation_id = "login_user",
    request_body = Login, security(()),
    responses((status = 200, description = "a session", body = Session), Refusals),
    extensions(("x-idempotent-because" = json!("a repeated login only begins a further session, and a stored reply would keep its tokens"))),
)]
pub async fn alias(app: State<App>, body: Json<Login>) -> Result<impl IntoResponse, Error> {
    login(app, body).await
}
