//! `POST /api/campaigns/{id}/cancel`, `POST /api/admin/campaigns/{id}/suspend` and `/resume`

use axum::extract::State;
use chassis::http::{Json, Path};
use common::{
    auth::{Admin, Identity},
    idempotency::{Claim, Reply},
    ids::CampaignId,
    openapi::IdempotencyKey,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::CampaignView;
use crate::{App, domain::Move, error::Error, proposal, routes::moves};

chassis::problems!(OfCancel:
    403 not_organiser,
    409 invalid_transition,
    422 invalid_reason,
);
chassis::problems!(OfSuspend:
    409 invalid_transition,
    422 invalid_reason,
);
chassis::problems!(OfResume:
    409 invalid_transition,
);

/// Why a campaign is stopped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// 3 to 1,000 characters.
    #[schema(
        example = "The school has found another sponsor.",
        min_length = 3,
        max_length = 1000
    )]
    reason: String,
}

/// Calls a campaign off for good: whatever it took, or takes yet, is refunded. For its organiser and admins.
#[utoipa::path(
    post, path = "/api/campaigns/{id}/cancel", tag = "campaigns", operation_id = "cancel_campaign",
    params(("id" = CampaignId, Path), IdempotencyKey), request_body = Stop,
    security(("bearer" = ["ORGANISER"]), ("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the campaign, now CANCELLED", body = CampaignView), OfCancel),
)]
pub async fn cancel(
    State(app): State<App>,
    claim: Claim,
    by: Identity,
    Path(id): Path<CampaignId>,
    Json(stop): Json<Stop>,
) -> Result<Reply, Error> {
    match proposal::reason(&stop.reason) {
        Ok(reason) => moves::make(&app, &claim, by, id, &Move::Cancel { reason }).await,
        Err(faults) => app.idempotency.refuse(&claim, Error::Invalid(faults)).await,
    }
}

/// Stops a campaign for now, out of everybody's sight; nothing is refunded unless an admin orders it. For admins.
#[utoipa::path(
    post, path = "/api/admin/campaigns/{id}/suspend", tag = "admin", operation_id = "suspend_campaign",
    params(("id" = CampaignId, Path), IdempotencyKey), request_body = Stop, security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the campaign, now SUSPENDED", body = CampaignView), OfSuspend),
)]
pub async fn suspend(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<CampaignId>,
    Json(stop): Json<Stop>,
) -> Result<Reply, Error> {
    match proposal::reason(&stop.reason) {
        Ok(reason) => moves::make(&app, &claim, by, id, &Move::Suspend { reason }).await,
        Err(faults) => app.idempotency.refuse(&claim, Error::Invalid(faults)).await,
    }
}

/// Lets a suspended campaign go on. For admins.
#[utoipa::path(
    post, path = "/api/admin/campaigns/{id}/resume", tag = "admin", operation_id = "resume_campaign",
    params(("id" = CampaignId, Path), IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the campaign, ACTIVE again", body = CampaignView), OfResume),
)]
pub async fn resume(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<CampaignId>,
) -> Result<Reply, Error> {
    moves::make(&app, &claim, by, id, &Move::Resume).await
}
