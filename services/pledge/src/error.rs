//! Every refusal of the service, and the stable code that each has.

use std::sync::Arc;

use chassis::http::Problem;
use common::{group_commit, idempotency};
use http::StatusCode;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The campaign is not known here, or not known here yet.
    #[error("there is no such campaign")]
    CampaignNotFound,
    /// The campaign does not take gifts.
    #[error("the campaign does not take gifts now")]
    CampaignNotActive,
    /// The campaign's time is over.
    #[error("the campaign has ended")]
    CampaignEnded,
    /// The amount is not a whole number of minor units.
    #[error("amount must be a whole number of minor units within 64 bits")]
    InvalidAmount,
    /// The amount is not positive, below the campaign's minimum, or beyond what we take at once.
    #[error("amount must be from {minimum} to {maximum} minor units")]
    AmountOutOfRange {
        /// The least, in minor units.
        minimum: i64,
        /// The most, in minor units.
        maximum: i64,
    },
    /// The currency is not in ISO 4217.
    #[error("currency is not a known ISO 4217 code")]
    UnknownCurrency,
    /// The currency is not the campaign's.
    #[error("the campaign takes gifts in {0}")]
    CurrencyMismatch(String),
    /// A guest must say who gives.
    #[error("without an access token, donor.name and donor.email are required")]
    DonorRequired,
    /// The name cannot stand on a wall or in a mail.
    #[error("donor.name {0}")]
    InvalidName(&'static str),
    /// The e-mail address cannot be one.
    #[error("donor.email {0}")]
    InvalidEmail(&'static str),
    /// The message is too long or holds control characters.
    #[error("message must have at most 500 characters and no control characters but line breaks")]
    InvalidMessage,
    /// The account's registration has not arrived here yet.
    #[error("the account is not known here yet, try again")]
    AccountNotReady,
    /// The pledge does not exist, or not for this caller.
    #[error("there is no such pledge")]
    NotFound,
    /// The campaign's row could not be read; several requests share the one reading.
    #[error(transparent)]
    CampaignUnreadable(Arc<sqlx::Error>),
    /// The key.
    #[error(transparent)]
    Key(#[from] idempotency::Error),
    /// The writer.
    #[error(transparent)]
    Commit(#[from] group_commit::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        use StatusCode as Status;
        let refuse = |status, code: &'static str| Problem::new(status, code, error.to_string());
        match error {
            Error::CampaignNotFound => {
                refuse(Status::NOT_FOUND, "campaign_not_found").retry_after(1)
            }
            Error::CampaignNotActive => refuse(Status::CONFLICT, "campaign_not_active"),
            Error::CampaignEnded => refuse(Status::CONFLICT, "campaign_ended"),
            Error::InvalidAmount => refuse(Status::UNPROCESSABLE_ENTITY, "invalid_amount"),
            Error::AmountOutOfRange { .. } => {
                refuse(Status::UNPROCESSABLE_ENTITY, "amount_out_of_range")
            }
            Error::UnknownCurrency => refuse(Status::UNPROCESSABLE_ENTITY, "unknown_currency"),
            Error::CurrencyMismatch(_) => refuse(Status::UNPROCESSABLE_ENTITY, "currency_mismatch"),
            Error::DonorRequired => refuse(Status::UNPROCESSABLE_ENTITY, "donor_required"),
            Error::InvalidName(_) => refuse(Status::UNPROCESSABLE_ENTITY, "invalid_name"),
            Error::InvalidEmail(_) => refuse(Status::UNPROCESSABLE_ENTITY, "invalid_email"),
            Error::InvalidMessage => refuse(Status::UNPROCESSABLE_ENTITY, "invalid_message"),
            Error::AccountNotReady => {
                refuse(Status::SERVICE_UNAVAILABLE, "account_not_ready").retry_after(1)
            }
            Error::NotFound => Problem::not_found(),
            Error::CampaignUnreadable(error) => Problem::database(&error),
            Error::Key(error) => error.into(),
            Error::Commit(error) => error.into(),
            Error::Database(error) => error.into(),
        }
    }
}

impl axum::response::IntoResponse for Error {
    fn into_response(self) -> axum::response::Response {
        Problem::from(self).into_response()
    }
}
