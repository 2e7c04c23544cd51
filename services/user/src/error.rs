//! What can go wrong here, and how it is told.

use axum::response::{IntoResponse, Response};
use chassis::http::{FieldError, Problem};
use http::{HeaderValue, StatusCode, header};

use crate::password::Refused;

/// Every refusal of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks rules of these fields.
    #[error("fields are not valid")]
    InvalidBody(Vec<FieldError>),
    /// The password is too short, too long or too common.
    #[error("password {0}")]
    WeakPassword(&'static str),
    /// No such account, or not its password: nobody learns which.
    #[error("wrong address or password")]
    InvalidCredentials,
    /// The refresh token is unknown, used, expired or ended.
    #[error("refresh token not valid")]
    InvalidRefreshToken,
    /// The bearer's account is gone or suspended.
    #[error("account not usable")]
    Unauthenticated,
    /// Too many passwords are waiting to be hashed.
    #[error("too many logins at once")]
    Busy,
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A mistake of ours.
    #[error("{0}")]
    Internal(String),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Busy => Self::Busy,
            Refused::Broken(cause) => Self::Internal(cause),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let unauthorised = |code, detail: &str| {
            Self::new(StatusCode::UNAUTHORIZED, code, detail)
                .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        };
        match error {
            Error::InvalidBody(errors) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_body",
                "some fields are not valid",
            )
            .errors(errors),
            Error::WeakPassword(rule) => {
                let errors = vec![at_fault("password", rule)];
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "weak_password",
                    format!("the password {rule}"),
                )
                .errors(errors)
            }
            Error::InvalidCredentials => unauthorised(
                "invalid_credentials",
                "the address or the password is wrong",
            ),
            Error::InvalidRefreshToken => unauthorised(
                "invalid_refresh_token",
                "the refresh token is not valid, log in again",
            ),
            Error::Unauthenticated => {
                unauthorised("unauthenticated", "this account cannot be used")
            }
            Error::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many people are logging in just now, try again",
            )
            .retry_after(1),
            Error::Database(error) => Self::database(&error),
            Error::Internal(cause) => Self::internal(cause),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// Names the field that a rule refused.
pub fn at_fault(field: &str, rule: &str) -> FieldError {
    FieldError {
        field: field.to_owned(),
        message: rule.to_owned(),
    }
}
