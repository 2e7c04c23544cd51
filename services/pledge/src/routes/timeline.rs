//! `GET /api/pledges/{id}/timeline`.

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems};
use common::{auth::Caller, ids::PledgeId};
use http::{HeaderMap, header};

use super::access;
use crate::{App, db, domain::timeline::Timeline, error::Error};

/// Tells what happened to the money of a pledge, step by step, to whoever may see the pledge. An amount is of the
/// whole charge: the gift with what was added to it.
#[utoipa::path(get, path = "/api/pledges/{id}/timeline", tag = "pledges", operation_id = "pledge_timeline", security(("guest" = []), ("bearer" = ["OWNER"]), ("bearer" = ["ORGANISER"]), ("bearer" = ["ADMIN"])),
    params(("id" = String, Path), ("X-Guest-Token" = Option<String>, Header, description = "as the pledge's creation gave it")),
    responses((status = 200, body = Timeline), Problems))]
pub async fn timeline(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<PledgeId>,
) -> Result<impl IntoResponse, Error> {
    let pledge = access::visible(&app, caller, &headers, id).await?;
    let happened = db::timeline::of_pledge(&app.db, id).await?;
    // After the steps, so that what they led to is shown with them.
    let opening = db::pledges::opening(&app.db, id).await?;
    let traces = (opening.trace_id, opening.cancel_trace_id);
    let story = Timeline::of(&pledge, traces, opening.payment_attempt, happened);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(story)))
}
