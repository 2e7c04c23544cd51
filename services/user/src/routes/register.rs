//! `POST /api/auth/register`

use axum::extract::State;
use chassis::http::Json;
use common::events::Role;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use common::contact::{Email, Name};

use crate::{
    App,
    domain::Password,
    error::{Error, at_fault},
};

chassis::problems!(Refusals:
    422 weak_password,
    503 busy,
);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// An ASCII e-mail address of at most 254 characters.
    #[schema(example = "ada@example.org")]
    email: String,
    /// 8 to 128 characters; 15 and more are recommended.
    #[schema(format = Password, min_length = 8, max_length = 128)]
    password: String,
    /// 1 to 100 characters.
    #[schema(example = "Ada", max_length = 100)]
    name: String,
}

#[derive(Serialize, ToSchema)]
pub struct Accepted {
    /// What happens next, the same for everybody.
    message: &'static str,
}

/// Opens an account, unless the address has one.
///
/// The reply is the same in both cases, and so is the work before it: nobody learns whose address is known here.
#[utoipa::path(
    post, path = "/api/auth/register", tag = "auth", operation_id = "register",
    request_body = Registration, security(()),
    responses((status = 202, description = "accepted, whether the address was known or not", body = Accepted), Refusals),
    extensions(("x-idempotent-because" = json!("the address is the key: one account, however often it is asked for, and one reply"))),
)]
pub async fn register(
    State(app): State<App>,
    Json(body): Json<Registration>,
) -> Result<(StatusCode, Json<Accepted>), Error> {
    let (email, name) = match (Email::parse(&body.email), Name::parse(&body.name)) {
        (Ok(email), Ok(name)) => (email, name),
        (email, name) => {
            let errors = [
                email.err().map(|rule| at_fault("email", rule)),
                name.err().map(|rule| at_fault("name", rule)),
            ];
            return Err(Error::InvalidBody(errors.into_iter().flatten().collect()));
        }
    };
    let password = Password::parse(&body.password, &email).map_err(Error::WeakPassword)?;
    let hash = app.hasher.hash(password).await?;
    app.registrar
        .open(&email, &name, &hash, Role::Donor)
        .await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(Accepted {
            message: "if the address had no account yet, it has one now",
        }),
    ))
}

/// Another name of `POST /api/auth/register`.
#[utoipa::path(
    post, path = "/api/users/register", tag = "users", operation_id = "register_user",
    request_body = Registration, security(()),
    responses((status = 202, description = "accepted, whether the address was known or not", body = Accepted), Refusals),
    extensions(("x-idempotent-because" = json!("the address is the key: one account, however often it is asked for, and one reply"))),
)]
pub async fn alias(
    app: State<App>,
    body: Json<Registration>,
) -> Result<(StatusCode, Json<Accepted>), Error> {
    register(app, body).await
}
