//! Every refusal of the service, and the stable code that each has.

use std::sync::Arc;

use chassis::http::Problem;
use common::{group_commit, idempotency, ids::PledgeId};
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
    /// The same donor has just promised the same to the same campaign.
    #[error(
        "you have promised the same amount to this campaign a moment ago; to give once more, send this again with the \
         confirmation and a new Idempotency-Key"
    )]
    PossibleDuplicate {
        /// The earlier promise.
        earlier: PledgeId,
        /// Lets the same wish pass.
        confirm: String,
    },
    /// The money is taken: what remains is a refund.
    #[error("the money of this pledge is taken already")]
    AlreadyCaptured,
    /// The pledge came to an end without money.
    #[error("the pledge has ended already")]
    PledgeClosed,
    /// There is no receipt before there is money.
    #[error("the money of this pledge is not taken yet")]
    NotCaptured,
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
            Error::Refused(ref refusal) => {
                let (status, code) = code_of(refusal);
                refuse(status, code)
            }
            Error::DonorRequired => refuse(Status::UNPROCESSABLE_ENTITY, "donor_required"),
            Error::AccountNotReady => {
                refuse(Status::SERVICE_UNAVAILABLE, "account_not_ready").retry_after(1)
            }
            Error::NotFound => Problem::not_found(),
            Error::PossibleDuplicate {
                earlier,
                ref confirm,
            } => refuse(Status::CONFLICT, "possible_duplicate")
                .member("pledge_id", earlier.to_string())
                .member("confirm", confirm.as_str()),
            Error::AlreadyCaptured => refuse(Status::CONFLICT, "already_captured"),
            Error::PledgeClosed => refuse(Status::CONFLICT, "pledge_closed"),
            Error::NotCaptured => refuse(Status::CONFLICT, "not_captured"),
            Error::CampaignUnreadable(error) => Problem::database(&error),
            Error::Key(error) => error.into(),
            Error::Commit(error) => error.into(),
            Error::Database(error) => error.into(),
        }
    }
}

/// How a wish is refused: what the campaign does not take now is a conflict, the rest can never become a pledge.
fn code_of(refusal: &Refusal) -> (StatusCode, &'static str) {
    let code = match refusal {
        Refusal::CampaignNotActive => return (StatusCode::CONFLICT, "campaign_not_active"),
        Refusal::CampaignEnded => return (StatusCode::CONFLICT, "campaign_ended"),
        Refusal::InvalidAmount => "invalid_amount",
        Refusal::AmountOutOfRange { .. } => "amount_out_of_range",
        Refusal::UnknownCurrency => "unknown_currency",
        Refusal::CurrencyMismatch(_) | Refusal::TipCurrency => "currency_mismatch",
        Refusal::InvalidTip => "invalid_tip",
        Refusal::TipOutOfRange => "tip_out_of_range",
        Refusal::ChargeOutOfRange => "charge_out_of_range",
        Refusal::InvalidName(_) => "invalid_name",
        Refusal::InvalidEmail(_) => "invalid_email",
        Refusal::InvalidMessage => "invalid_message",
    };
    (StatusCode::UNPROCESSABLE_ENTITY, code)
}

impl axum::response::IntoResponse for Error {
    fn into_response(self) -> axum::response::Response {
        Problem::from(self).into_response()
    }
}
