//! Every refusal of the service, and the stable code that each has.

use std::sync::Arc;

use chassis::http::Problem;
use common::{group_commit, idempotency};
use http::StatusCode;

use crate::domain::Refusal;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The campaign is not known here, or not known here yet.
    #[error("there is no such campaign")]
    CampaignNotFound,
    /// The wish cannot become a pledge.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A guest must say who gives.
    #[error("without an access token, donor.name and donor.email are required")]
    DonorRequired,
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
            Error::Refused(Refusal::CampaignNotActive) => {
                refuse(Status::CONFLICT, "campaign_not_active")
            }
            Error::Refused(Refusal::CampaignEnded) => refuse(Status::CONFLICT, "campaign_ended"),
            Error::Refused(Refusal::InvalidAmount) => {
                refuse(Status::UNPROCESSABLE_ENTITY, "invalid_amount")
            }
            Error::Refused(Refusal::AmountOutOfRange { .. }) => {
                refuse(Status::UNPROCESSABLE_ENTITY, "amount_out_of_range")
            }
            Error::Refused(Refusal::UnknownCurrency) => {
                refuse(Status::UNPROCESSABLE_ENTITY, "unknown_currency")
            }
            Error::Refused(Refusal::CurrencyMismatch(_)) => {
                refuse(Status::UNPROCESSABLE_ENTITY, "currency_mismatch")
            }
            Error::DonorRequired => refuse(Status::UNPROCESSABLE_ENTITY, "donor_required"),
            Error::Refused(Refusal::InvalidName(_)) => {
                refuse(Status::UNPROCESSABLE_ENTITY, "invalid_name")
            }
            Error::Refused(Refusal::InvalidEmail(_)) => {
                refuse(Status::UNPROCESSABLE_ENTITY, "invalid_email")
            }
            Error::Refused(Refusal::InvalidMessage) => {
                refuse(Status::UNPROCESSABLE_ENTITY, "invalid_message")
            }
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
