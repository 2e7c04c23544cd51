//! `GET /api/admin/refund-batches/{campaign_id}`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems};
use common::{auth::Admin, ids::CampaignId};
use http::header;

use super::view::View;
use crate::{
    App,
    db::{batches, campaigns},
    error::Error,
};

/// What giving a campaign's gifts back comes to, and how far that is. For admins.
#[utoipa::path(
    get, path = "/api/admin/refund-batches/{campaign_id}", tag = "admin", operation_id = "get_refund_batch",
    params(("campaign_id" = CampaignId, Path, description = "the campaign")), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the batch, or what one would come to", body = View), Problems),
)]
pub async fn get(
    State(app): State<App>,
    _: Admin,
    Path(id): Path<CampaignId>,
) -> Result<impl IntoResponse, Error> {
    let pool = app.db.pool();
    campaigns::find(pool, id).await?.ok_or(Error::NotFound)?;
    let batch = batches::find(pool, id).await?;
    let view = View::of(pool, id, batch.as_ref(), app.settings.pace.approval_from).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(view)))
}
