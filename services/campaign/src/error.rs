//! What can go wrong here, and how it is told.

use axum::response::{IntoResponse, Response};
use chassis::http::{FieldError, Problem};
use common::idempotency;
use http::StatusCode;

use crate::{domain::Refusal, proposal::Fault};

/// Every code of this service's own, beside those that all services share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The title's length or characters.
    InvalidTitle,
    /// The story's length or characters.
    InvalidStory,
    /// The category's length or characters.
    InvalidCategory,
    /// The goal is no 64-bit integer.
    InvalidAmount,
    /// The goal is zero or less.
    GoalNotPositive,
    /// The currency is not an active one.
    UnknownCurrency,
    /// The smallest gift is zero or less.
    InvalidMinAmount,
    /// The end is not in the future.
    EndsAtPast,
    /// The zone is not in the IANA database.
    UnknownTimezone,
    /// The reason's length or characters.
    InvalidReason,
    /// The campaign cannot make this move from where it stands.
    InvalidTransition,
    /// The campaign's end date has passed.
    CampaignEnded,
    /// Visible, but somebody else's.
    NotOrganiser,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::InvalidTitle,
        Self::InvalidStory,
        Self::InvalidCategory,
        Self::InvalidAmount,
        Self::GoalNotPositive,
        Self::UnknownCurrency,
        Self::InvalidMinAmount,
        Self::EndsAtPast,
        Self::UnknownTimezone,
        Self::InvalidReason,
        Self::InvalidTransition,
        Self::CampaignEnded,
        Self::NotOrganiser,
    ];

    /// The stable spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidTitle => "invalid_title",
            Self::InvalidStory => "invalid_story",
            Self::InvalidCategory => "invalid_category",
            Self::InvalidAmount => "invalid_amount",
            Self::GoalNotPositive => "goal_not_positive",
            Self::UnknownCurrency => "unknown_currency",
            Self::InvalidMinAmount => "invalid_min_amount",
            Self::EndsAtPast => "ends_at_past",
            Self::UnknownTimezone => "unknown_timezone",
            Self::InvalidReason => "invalid_reason",
            Self::InvalidTransition => "invalid_transition",
            Self::CampaignEnded => "campaign_ended",
            Self::NotOrganiser => "not_organiser",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidTransition | Self::CampaignEnded => StatusCode::CONFLICT,
            Self::NotOrganiser => StatusCode::FORBIDDEN,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Every refusal of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such campaign, or none that the caller may know of.
    #[error("there is nothing here")]
    NotFound,
    /// Fields break rules; the first names the code.
    #[error("some fields are not valid")]
    Invalid(Vec<Fault>),
    /// The campaign cannot make the move.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Visible, but somebody else's.
    #[error("only the organiser may do this")]
    NotOrganiser,
    /// The key cannot be used, or its database is away.
    #[error(transparent)]
    Idempotency(#[from] idempotency::Error),
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// Whether it is our verdict on the request, which an earlier reply under the same key outweighs.
    pub fn is_verdict(&self) -> bool {
        !matches!(self, Self::Idempotency(_) | Self::Database(_))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let told =
            |code: Code, error: &Error| Self::new(code.status(), code.as_str(), error.to_string());
        match error {
            Error::NotFound => Self::not_found(),
            Error::Invalid(ref faults) => {
                let code = faults
                    .first()
                    .map_or(Code::InvalidTitle, |fault| fault.code);
                told(code, &error).errors(faults.iter().map(FieldError::from).collect())
            }
            Error::Refused(Refusal::InvalidTransition(_)) => told(Code::InvalidTransition, &error),
            Error::Refused(Refusal::Ended) => told(Code::CampaignEnded, &error),
            Error::NotOrganiser => told(Code::NotOrganiser, &error),
            Error::Idempotency(error) => error.into(),
            Error::Database(error) => Self::database(&error),
        }
    }
}

impl From<&Fault> for FieldError {
    fn from(fault: &Fault) -> Self {
        Self {
            field: fault.field.to_owned(),
            message: fault.rule.to_owned(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
