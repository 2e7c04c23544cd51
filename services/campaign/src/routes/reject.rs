//! `POST /api/admin/campaigns/{id}/reject`

use axum::extract::State;
use chassis::http::{Json, Path};
use common::{
    auth::Admin,
    idempotency::{Claim, Reply},
    ids::CampaignId,
    openapi::IdempotencyKey,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::CampaignView;
use crate::{App, domain::Move, error::Error, proposal, routes::moves};

chassis::problems!(Refusals:
    409 invalid_transition,
    422 invalid_reason,
);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// What the organiser is told: 3 to 1,000 characters.
    #[schema(
        example = "Please say who receives the money.",
        min_length = 3,
        max_length = 1000
    )]
    reason: String,
}

/// Turns a submitted campaign down, with the reason. For admins.
#[utoipa::path(
    post, path = "/api/admin/campaigns/{id}/reject", tag = "admin", operation_id = "reject_campaign",
    params(("id" = CampaignId, Path), IdempotencyKey), request_body = Rejection, security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the campaign, now REJECTED", body = CampaignView), Refusals),
)]
pub async fn reject(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<CampaignId>,
    Json(rejection): Json<Rejection>,
) -> Result<Reply, Error> {
    match proposal::reason(&rejection.reason) {
        Ok(reason) => moves::make(&app, &claim, by, id, &Move::Reject { reason }).await,
        Err(faults) => app.idempotency.refuse(&claim, Error::Invalid(faults)).await,
    }
}
