//! `GET /api/payments/{id}/refunds`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems};
use common::{auth::Identity, ids::PaymentId};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::View;
use crate::{App, db::refunds, error::Error};

/// Every refund of a payment.
#[derive(Serialize, ToSchema)]
pub struct Refunds {
    /// The oldest first.
    data: Vec<View>,
}

/// The refunds of a payment, the oldest first. For admins and the campaign's organiser.
#[utoipa::path(
    get, path = "/api/payments/{id}/refunds", tag = "payments", operation_id = "list_refunds",
    params(("id" = PaymentId, Path, description = "the payment")), security(("bearer" = ["ORGANISER"]), ("bearer" = ["ADMIN"])),
    responses((status = 200, description = "every refund", body = Refunds), Problems),
)]
pub async fn list(
    State(app): State<App>,
    by: Identity,
    Path(id): Path<PaymentId>,
) -> Result<impl IntoResponse, Error> {
    super::allowed(&app, by, id).await?;
    let found = refunds::of_payment(app.db.pool(), id).await?;
    let data = found.iter().map(View::from).collect();
    Ok((
        [(header::CACHE_CONTROL, "no-store")],
        Json(Refunds { data }),
    ))
}
