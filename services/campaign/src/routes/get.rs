//! `GET /api/campaigns/{id}`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chassis::http::{Json, Path, Problems};
use common::{auth::Caller, ids::CampaignId};
use http::header::ETAG;

use super::view::{CampaignView, etag};
use crate::{App, db, error::Error};

/// One campaign. What is not public is there for its organiser and for admins alone.
#[utoipa::path(
    get, path = "/api/campaigns/{id}", tag = "campaigns", operation_id = "get_campaign",
    params(("id" = CampaignId, Path)), security((), ("bearer" = [])),
    responses(
        (status = 200, description = "the campaign", body = CampaignView, headers(("ETag" = String, description = "the version"))),
        Problems,
    ),
)]
pub async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<CampaignId>,
) -> Result<Response, Error> {
    let found = db::find(app.db.pool(), id).await?;
    let campaign = found
        .filter(|campaign| campaign.is_visible_to(caller.identity()))
        .ok_or(Error::NotFound)?;
    Ok((
        [(ETAG, etag(&campaign))],
        Json(CampaignView::from(campaign)),
    )
        .into_response())
}
