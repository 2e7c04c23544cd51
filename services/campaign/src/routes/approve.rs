//! `POST /api/admin/campaigns/{id}/approve`

use axum::extract::State;
use chassis::http::Path;
use common::{
    auth::Admin,
    idempotency::{Claim, Reply},
    ids::CampaignId,
    openapi::IdempotencyKey,
};

use super::view::CampaignView;
use crate::{App, domain::Move, error::Error, routes::moves};

chassis::problems!(Refusals:
    409 invalid_transition campaign_ended,
);

/// Lets a submitted campaign go public. For admins.
#[utoipa::path(
    post, path = "/api/admin/campaigns/{id}/approve", tag = "admin", operation_id = "approve_campaign",
    params(("id" = CampaignId, Path), IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the campaign, now ACTIVE", body = CampaignView), Refusals),
)]
pub async fn approve(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<CampaignId>,
) -> Result<Reply, Error> {
    moves::make(&app, &claim, by, id, &Move::Approve).await
}
