//! `POST /api/admin/payments/{id}/capture`

use axum::extract::State;
use chassis::http::{Json, Path};
use common::{
    auth::Admin,
    idempotency::{Claim, Reply},
    ids::PaymentId,
    money::GivenMoney,
    openapi::IdempotencyKey,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer;
use crate::{
    App,
    error::Error,
    holds::{self, Wish},
    routes::view::View,
};

chassis::problems!(Refusals:
    402 payment_declined,
    409 invalid_transition,
    422 invalid_amount payment_refused,
    503 psp_unavailable charging_paused,
);

/// How much of the held money to take.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCapture {
    /// All of it by default; the rest is released.
    amount: Option<GivenMoney>,
}

/// Takes held money, once: all of it, or a part, and then the rest is released. For admins.
#[utoipa::path(
    post, path = "/api/admin/payments/{id}/capture", tag = "admin", operation_id = "capture_payment",
    params(("id" = PaymentId, Path, description = "the payment"), IdempotencyKey),
    request_body = NewCapture, security(("bearer" = ["ADMIN"])),
    responses(
        (status = 200, description = "the money was taken", body = View),
        (status = 202, description = "the provider has not answered yet; the same request tells later", body = View),
        Refusals,
    ),
)]
pub async fn capture(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<PaymentId>,
    Json(body): Json<NewCapture>,
) -> Result<Reply, Error> {
    if let Some(stored) = app.idempotency.lookup(&claim).await? {
        return Ok(stored);
    }
    if app.switch.is_paused(app.db.pool()).await? {
        return Err(Error::ChargingPaused);
    }
    let amount = body.amount.map(|given| given.parse()).transpose();
    let wish = Wish {
        amount: amount.map_err(|_| Error::CaptureAmount)?,
        by: Some(by.user_id),
        claim: Some(claim.clone()),
    };
    let payment = holds::capture(&app, id, &wish).await?;
    tracing::info!(payment.id = %id, user.id = %by.user_id, state = %payment.state, "a capture was asked for");
    answer(&app, &claim, &payment, payment.captured > 0).await
}
