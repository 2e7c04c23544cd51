//! `POST /api/payments/{id}/refunds`

use axum::extract::State;
use chassis::http::{Json, Path};
use common::{
    auth::Identity,
    idempotency::{Claim, Reply},
    ids::PaymentId,
    money::{Currency, GivenMoney, InvalidMoney},
    openapi::IdempotencyKey,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::View;
use crate::{
    App,
    domain::{Halt, Wish},
    error::Error,
    refunding::{self, Begun},
};

chassis::problems!(Refusals:
    409 refund_exceeds_captured dispute_open,
    422 invalid_amount currency_mismatch invalid_reason,
);

/// How much is to go back, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRefund {
    /// All that is left of what was captured, by default.
    amount: Option<GivenMoney>,
    /// For whoever looks at it later: 3 to 500 characters on one line.
    #[schema(example = "given twice by mistake", min_length = 3, max_length = 500)]
    reason: String,
}

/// Gives captured money back. For admins and the campaign's organiser.
///
/// The refund is PENDING until the provider has made it; it counts as refunded once it is SUCCEEDED.
#[utoipa::path(
    post, path = "/api/payments/{id}/refunds", tag = "payments", operation_id = "create_refund",
    params(("id" = PaymentId, Path, description = "the payment"), IdempotencyKey), request_body = NewRefund,
    security(("bearer" = ["ORGANISER"]), ("bearer" = ["ADMIN"])),
    responses((status = 201, description = "the refund, on its way", body = View), Refusals),
)]
pub async fn create(
    State(app): State<App>,
    claim: Claim,
    by: Identity,
    Path(id): Path<PaymentId>,
    Json(body): Json<NewRefund>,
) -> Result<Reply, Error> {
    match begin(&app, &claim, by, id, &body).await {
        Ok(Begun::Replayed(reply)) => Ok(reply),
        Ok(Begun::Stored(refund, reply)) => {
            let sending = app.clone();
            app.life
                .track(async move { refunding::send(&sending, &refund).await });
            Ok(reply)
        }
        Err(refusal @ (Error::Halt(_) | Error::NotFound)) => {
            app.idempotency.refuse(&claim, refusal).await
        }
        Err(error) => Err(error),
    }
}

async fn begin(
    app: &App,
    claim: &Claim,
    by: Identity,
    id: PaymentId,
    body: &NewRefund,
) -> Result<Begun, Error> {
    let (payment, cause) = super::allowed(app, by, id).await?;
    let wish = Wish {
        refund_id: Wish::id_of_request(id, claim.scope()),
        amount: body.minor(payment.amount.currency)?,
        reason: Some(reason(&body.reason)?),
        cause,
        by: Some(by.user_id),
    };
    let reply = |refund: &_| Reply::json(StatusCode::CREATED, &View::from(refund));
    refunding::begin(app, id, wish, claim, reply).await
}

impl NewRefund {
    fn minor(&self, currency: Currency) -> Result<Option<i64>, Halt> {
        let Some(given) = &self.amount else {
            return Ok(None);
        };
        match given.parse() {
            Ok(money) if money.currency != currency => Err(Halt::Currency),
            Ok(money) if money.minor < 1 => Err(Halt::Amount),
            Ok(money) => Ok(Some(money.minor)),
            Err(InvalidMoney::Amount) => Err(Halt::Amount),
            Err(InvalidMoney::Currency(_)) => Err(Halt::Currency),
        }
    }
}

/// The text of a reason that can be kept.
pub fn reason(text: &str) -> Result<String, Halt> {
    let text = text.trim();
    if !(3..=500).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        return Err(Halt::Reason);
    }
    Ok(text.to_owned())
}
