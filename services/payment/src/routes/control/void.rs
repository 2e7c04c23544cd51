//! `POST /api/admin/payments/{id}/void`

use axum::extract::State;
use chassis::http::Path;
use common::{
    auth::Admin,
    idempotency::{Claim, Reply},
    ids::PaymentId,
    openapi::IdempotencyKey,
    payment::State as Stands,
};

use super::answer;
use crate::{App, error::Error, holds, routes::view::View};

chassis::problems!(Refusals:
    409 invalid_transition,
    503 psp_unavailable,
);

/// Releases held money. For admins.
#[utoipa::path(
    post, path = "/api/admin/payments/{id}/void", tag = "admin", operation_id = "void_payment",
    params(("id" = PaymentId, Path, description = "the payment"), IdempotencyKey),
    security(("bearer" = ["ADMIN"])),
    responses(
        (status = 200, description = "the money was released", body = View),
        (status = 202, description = "the provider has not answered yet; the same request tells later", body = View),
        Refusals,
    ),
)]
pub async fn void(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<PaymentId>,
) -> Result<Reply, Error> {
    if let Some(stored) = app.idempotency.lookup(&claim).await? {
        return Ok(stored);
    }
    let payment = holds::void(&app, id).await?;
    tracing::info!(payment.id = %id, user.id = %by.user_id, state = %payment.state, "a void was asked for");
    let done = payment.state == Stands::Cancelled;
    answer(&app, &claim, &payment, done).await
}
