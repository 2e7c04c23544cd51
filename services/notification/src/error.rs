//! What can go wrong here, and how it is told.

use axum::response::{IntoResponse, Response};
use chassis::http::Problem;
use http::{HeaderValue, StatusCode, header};

/// Every refusal of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such channel.
    #[error("unknown channel")]
    InvalidChannel,
    /// The request is no WebSocket handshake.
    #[error("no websocket handshake")]
    UpgradeRequired,
    /// This process has as many sockets open as it may.
    #[error("too many sockets")]
    TooManySockets,
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A mistake of ours.
    #[error("{0}")]
    Internal(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidChannel => Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_channel",
                "a channel is written campaign:{id}",
            ),
            Error::UpgradeRequired => Self::new(
                StatusCode::UPGRADE_REQUIRED,
                "upgrade_required",
                "this is a websocket: connect with its handshake",
            )
            .header(header::UPGRADE, HeaderValue::from_static("websocket")),
            Error::TooManySockets => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_sockets",
                "too many people are watching just now, try again",
            )
            .retry_after(5),
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
