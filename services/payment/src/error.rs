//! What can go wrong here, and how it is told.

use axum::response::{IntoResponse, Response};
use chassis::http::Problem;
use common::{auth::tokens::TicketError, group_commit, idempotency};
use http::StatusCode;

use crate::domain::{Flaw, Halt};

/// Every refusal of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing shows that the caller may pay for this pledge.
    #[error("neither ticket, guest token nor the pledge's own account")]
    TicketRequired,
    /// The ticket is forged, or another pledge's.
    #[error("ticket not valid")]
    TicketInvalid,
    /// The ticket's time is over, and nothing else shows that the caller may pay.
    #[error("ticket expired")]
    TicketExpired,
    /// The pledge's event has not come yet, and there is no ticket to go by.
    #[error("payment not there yet")]
    NotThereYet,
    /// There is no such payment, or not for this caller.
    #[error("no such payment")]
    NotFound,
    /// The pledge has lapsed unpaid.
    #[error("pledge expired")]
    PledgeExpired,
    /// The payment has been paid, or can never be.
    #[error("payment closed")]
    Closed,
    /// The provider declined the donor's means for good.
    #[error("payment declined: {0}")]
    Declined(String),
    /// The provider will not open such a payment.
    #[error("payment refused: {0}")]
    Refused(String),
    /// The provider gave no answer; the same request may go through in a moment.
    #[error("provider unavailable")]
    PspUnavailable,
    /// The provider's intent is not the one that was asked for: nobody pays it until a person has looked.
    #[error("the provider's intent is not the one asked for")]
    IntentMismatch,
    /// A delivery that is not signed by the provider, or not now.
    #[error("bad signature")]
    BadSignature,
    /// A signed delivery that is no event.
    #[error("no event")]
    MalformedEvent,
    /// A body beyond what the route takes.
    #[error("body too large")]
    BodyTooLarge,
    /// The payment does not stand where this can be done to it.
    #[error("invalid transition")]
    InvalidTransition,
    /// More than is held, or nothing.
    #[error("invalid amount")]
    CaptureAmount,
    /// Too many tries were declined; how long to wait, in seconds.
    #[error("too many declined tries")]
    Velocity(u32),
    /// An operator has stopped new charges.
    #[error("charging is paused")]
    ChargingPaused,
    /// A switch was to be turned without a reason, or with one that is too long.
    #[error("no reason")]
    Reason,
    /// A correction that may not be entered.
    #[error(transparent)]
    Correction(#[from] Flaw),
    /// Money that cannot go back, or not so.
    #[error(transparent)]
    Halt(#[from] Halt),
    /// The key of the request is in use or was used otherwise.
    #[error(transparent)]
    Idempotency(#[from] idempotency::Error),
    /// The delivery could not be written.
    #[error(transparent)]
    Commit(#[from] group_commit::Error),
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A mistake of ours.
    #[error("{0}")]
    Internal(String),
}

impl From<TicketError> for Error {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::Invalid => Self::TicketInvalid,
            TicketError::Expired => Self::TicketExpired,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let problem = |status, code, detail: &str| Self::new(status, code, detail);
        match error {
            Error::TicketRequired => problem(
                StatusCode::FORBIDDEN,
                "ticket_required",
                "this needs the pledge's ticket, its guest token, or the account that made it",
            ),
            Error::TicketInvalid => problem(
                StatusCode::FORBIDDEN,
                "ticket_invalid",
                "the ticket is not one of this pledge",
            ),
            Error::TicketExpired => problem(
                StatusCode::FORBIDDEN,
                "ticket_expired",
                "the ticket has expired; the pledge's guest token or its account still works",
            ),
            Error::NotThereYet => problem(
                StatusCode::NOT_FOUND,
                "payment_not_found",
                "the payment of this pledge is not there yet, try again or send the ticket",
            )
            .retry_after(1),
            Error::NotFound => Self::not_found(),
            Error::PledgeExpired => problem(
                StatusCode::GONE,
                "pledge_expired",
                "the pledge was not paid in time; make a new one",
            ),
            Error::Closed => problem(
                StatusCode::CONFLICT,
                "payment_closed",
                "the payment has been made already or has ended; nothing can be paid on it",
            ),
            Error::Declined(code) => Self::new(
                StatusCode::PAYMENT_REQUIRED,
                "payment_declined",
                format!("the payment provider declined for good: {code}"),
            ),
            Error::Refused(code) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "payment_refused",
                format!("the payment provider does not take such a payment: {code}"),
            ),
            Error::PspUnavailable | Error::IntentMismatch => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "psp_unavailable",
                "the payment provider does not answer just now; the payment is kept, try again",
            )
            .retry_after(5),
            Error::BadSignature => problem(
                StatusCode::UNAUTHORIZED,
                "bad_signature",
                "the delivery is not signed by the provider, or not now",
            ),
            Error::MalformedEvent => problem(
                StatusCode::BAD_REQUEST,
                "malformed_event",
                "the delivery is not an event with an id and a type",
            ),
            Error::BodyTooLarge => problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "the body is larger than this route accepts",
            ),
            Error::InvalidTransition => problem(
                StatusCode::CONFLICT,
                "invalid_transition",
                "the payment does not stand where this can be done to it",
            ),
            Error::CaptureAmount => problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_amount",
                "the amount must be positive, in the payment's currency, and not more than is held",
            ),
            Error::Velocity(seconds) => problem(
                StatusCode::TOO_MANY_REQUESTS,
                "payment_velocity",
                "too many payments were declined; try again later",
            )
            .retry_after(seconds),
            Error::ChargingPaused => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "charging_paused",
                "no new charges are made just now; try again later",
            )
            .retry_after(60),
            Error::Reason => problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_reason",
                "a reason of 1 to 500 characters is needed",
            ),
            Error::Correction(flaw) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                flaw.code(),
                flaw.to_string(),
            ),
            Error::Halt(halt) => {
                let status = if halt.is_invalid() {
                    StatusCode::UNPROCESSABLE_ENTITY
                } else {
                    StatusCode::CONFLICT
                };
                Self::new(status, halt.code(), halt.to_string())
            }
            Error::Idempotency(error) => error.into(),
            Error::Commit(error) => error.into(),
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
