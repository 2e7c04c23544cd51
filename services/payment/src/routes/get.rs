//! `GET /api/payments/{id}`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems};
use common::{auth::Caller, ids::PaymentId};
use http::{HeaderMap, header};

use super::{create::visible, view::View};
use crate::{App, error::Error};

/// A payment, for its donor.
///
/// For anyone else it does not exist (404).
#[utoipa::path(
    get, path = "/api/payments/{id}", tag = "payments", operation_id = "get_payment",
    params(
        ("id" = PaymentId, Path, description = "the payment"),
        ("X-Guest-Token" = Option<String>, Header, description = "the pledge's guest token"),
    ),
    security(("guest" = []), ("bearer" = ["OWNER"]), ("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the payment as it stands", body = View), Problems),
)]
pub async fn get(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<PaymentId>,
) -> Result<impl IntoResponse, Error> {
    let payment = visible(&app, caller, &headers, id).await?;
    let headers = [
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::ETAG, format!("\"{}\"", payment.version)),
    ];
    Ok((headers, Json(View::from(&payment))))
}
