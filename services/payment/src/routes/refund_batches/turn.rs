//! `POST /api/admin/refund-batches/{campaign_id}/approve`, `/pause` and `/resume`

use axum::extract::State;
use chassis::http::Path;
use common::{
    auth::Admin,
    idempotency::{self, Claim, Joined, Reply},
    ids::{CampaignId, UserId},
    openapi::IdempotencyKey,
};
use http::StatusCode;

use super::view::View;
use crate::{App, db::batches, domain::Turn, error::Error};

chassis::problems!(OfApprove:
    409 invalid_transition second_admin_required,
);
chassis::problems!(Refusals:
    409 invalid_transition,
);

/// Lets a batch run that is about much money. For an admin who did not start it.
#[utoipa::path(
    post, path = "/api/admin/refund-batches/{campaign_id}/approve", tag = "admin", operation_id = "approve_refund_batch",
    params(("campaign_id" = CampaignId, Path, description = "the campaign"), IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the batch, now running", body = View), OfApprove),
)]
pub async fn approve(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<CampaignId>,
) -> Result<Reply, Error> {
    make(&app, &claim, by.user_id, id, Turn::Approve).await
}

/// Stops the refunds of a batch; what is on its way arrives. For admins.
#[utoipa::path(
    post, path = "/api/admin/refund-batches/{campaign_id}/pause", tag = "admin", operation_id = "pause_refund_batch",
    params(("campaign_id" = CampaignId, Path, description = "the campaign"), IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the batch, now paused", body = View), Refusals),
)]
pub async fn pause(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<CampaignId>,
) -> Result<Reply, Error> {
    make(&app, &claim, by.user_id, id, Turn::Pause).await
}

/// Lets a batch go on; it is planned anew, and approved anew where that is needed. For admins.
#[utoipa::path(
    post, path = "/api/admin/refund-batches/{campaign_id}/resume", tag = "admin", operation_id = "resume_refund_batch",
    params(("campaign_id" = CampaignId, Path, description = "the campaign"), IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the batch, planned", body = View), Refusals),
)]
pub async fn resume(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<CampaignId>,
) -> Result<Reply, Error> {
    make(&app, &claim, by.user_id, id, Turn::Resume).await
}

async fn make(
    app: &App,
    claim: &Claim,
    by: UserId,
    id: CampaignId,
    turn: Turn,
) -> Result<Reply, Error> {
    match attempt(app, claim, by, id, turn).await {
        Err(refusal @ (Error::Halt(_) | Error::NotFound)) => {
            app.idempotency.refuse(claim, refusal).await
        }
        reply => reply,
    }
}

async fn attempt(
    app: &App,
    claim: &Claim,
    by: UserId,
    id: CampaignId,
    turn: Turn,
) -> Result<Reply, Error> {
    let mut tx = app.db.begin().await?;
    let mut batch = batches::lock(&mut tx, id).await?.ok_or(Error::NotFound)?;
    let now = app.clock.now();
    batch.turn(turn, by, now)?;
    batches::turn(&mut tx, &batch, now).await?;
    let from = app.settings.pace.approval_from;
    let view = View::of(app.db.pool(), id, Some(&batch), from).await?;
    let reply = Reply::json(StatusCode::OK, &view);
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    tx.commit().await?;
    tracing::info!(campaign.id = %id, user.id = %by, ?turn, "an admin turned a batch of refunds");
    Ok(reply)
}
