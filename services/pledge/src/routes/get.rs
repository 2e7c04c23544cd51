//! `GET /api/pledges/{id}`.

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems};
use common::{auth::Caller, ids::PledgeId};
use http::{HeaderMap, header};

use super::access;
use crate::{App, error::Error, reply::PledgeView};

/// Shows a pledge to its donor, by its guest token or the donor's account, to who runs its campaign, and to admins. To
/// everybody else it does not exist.
#[utoipa::path(get, path = "/api/pledges/{id}", tag = "pledges", operation_id = "get_pledge", security(("guest" = []), ("bearer" = ["OWNER"]), ("bearer" = ["ORGANISER"]), ("bearer" = ["ADMIN"])),
    params(("id" = String, Path), ("X-Guest-Token" = Option<String>, Header, description = "as the pledge's creation gave it")),
    responses((status = 200, body = PledgeView), Problems))]
pub async fn get(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<PledgeId>,
) -> Result<impl IntoResponse, Error> {
    let pledge = access::visible(&app, caller, &headers, id).await?;
    let body = Json(PledgeView::from(&pledge));
    Ok(([(header::CACHE_CONTROL, "no-store")], body))
}
