//! `POST /api/campaigns/{id}/close`

use axum::extract::State;
use chassis::http::Path;
use common::{
    auth::Identity,
    idempotency::{Claim, Reply},
    ids::CampaignId,
    openapi::IdempotencyKey,
};

use super::view::CampaignView;
use crate::{App, domain::Move, error::Error, routes::moves};

chassis::problems!(Refusals:
    403 not_organiser,
    409 invalid_transition,
);

/// Ends an active campaign; what was authorised before is still captured. For its organiser and admins.
#[utoipa::path(
    post, path = "/api/campaigns/{id}/close", tag = "campaigns", operation_id = "close_campaign",
    params(("id" = CampaignId, Path), IdempotencyKey), 
    security(("bearer" = ["ORGANISER"]), ("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the campaign, now COMPLETED", body = CampaignView), Refusals),
)]
pub async fn close(
    State(app): State<App>,
    claim: Claim,
    by: Identity,
    Path(id): Path<CampaignId>,
) -> Result<Reply, Error> {
    moves::make(&app, &claim, by, id, &Move::Close).await
}
