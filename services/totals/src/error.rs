//! What can go wrong here, and how it is told.

use axum::response::{IntoResponse, Response};
use chassis::http::Problem;
use common::idempotency;
use http::StatusCode;

/// Every refusal of this service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is nothing, or not for this caller.
    #[error("not found")]
    NotFound,
    /// The list of campaigns is none.
    #[error("ids must be a list of campaigns' ids, separated by commas")]
    InvalidIds,
    /// Too many campaigns at once.
    #[error("at most 100 campaigns can be asked for at once")]
    TooManyIds,
    /// Another rebuild has not ended yet.
    #[error("a rebuild is running; there is one at a time")]
    RebuildRunning,
    /// A bad page of a list.
    #[error("{0}")]
    Page(Problem),
    /// The key of the request is in use or was used otherwise.
    #[error(transparent)]
    Idempotency(#[from] idempotency::Error),
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let problem = |status, code| Self::new(status, code, detail);
        match error {
            Error::NotFound => Self::not_found(),
            Error::InvalidIds => problem(StatusCode::BAD_REQUEST, "invalid_ids"),
            Error::TooManyIds => problem(StatusCode::BAD_REQUEST, "too_many_ids"),
            Error::RebuildRunning => problem(StatusCode::CONFLICT, "rebuild_running"),
            Error::Page(problem) => problem,
            Error::Idempotency(error) => error.into(),
            Error::Database(error) => Self::database(&error),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
