//! `POST /api/admin/refund-batches/{campaign_id}`

use axum::extract::State;
use chassis::http::Path;
use common::{
    auth::Admin,
    events::CampaignStatus,
    idempotency::{self, Claim, Joined, Reply},
    ids::{CampaignId, UserId},
    openapi::IdempotencyKey,
};
use http::StatusCode;

use super::view::View;
use crate::{
    App,
    db::{batches, campaigns},
    domain::{Batch, BatchCause, BatchState, Halt},
    error::Error,
};

chassis::problems!(Refusals:
    409 campaign_not_stopped invalid_transition,
);

/// Orders that what a suspended campaign took goes back. For admins.
///
/// The order is about this suspension: once the campaign goes on it is over. A campaign that was called off needs no
/// order: its batch is there by itself.
#[utoipa::path(
    post, path = "/api/admin/refund-batches/{campaign_id}", tag = "admin", operation_id = "start_refund_batch",
    params(("campaign_id" = CampaignId, Path, description = "the campaign"), IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 201, description = "the batch, planned", body = View), Refusals),
)]
pub async fn start(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<CampaignId>,
) -> Result<Reply, Error> {
    match order(&app, &claim, by.user_id, id).await {
        Err(refusal @ (Error::Halt(_) | Error::NotFound)) => {
            app.idempotency.refuse(&claim, refusal).await
        }
        reply => reply,
    }
}

async fn order(app: &App, claim: &Claim, by: UserId, id: CampaignId) -> Result<Reply, Error> {
    let pool = app.db.pool();
    let campaign = campaigns::find(pool, id).await?.ok_or(Error::NotFound)?;
    match campaign.status {
        CampaignStatus::Suspended => {}
        CampaignStatus::Cancelled => return Err(Halt::BatchState.into()),
        _ => return Err(Halt::CampaignRuns.into()),
    }
    let now = app.clock.now();
    let batch = Batch {
        campaign_id: id,
        cause: BatchCause::Ordered,
        campaign_version: Some(campaign.version),
        state: BatchState::Planned,
        planned_count: None,
        planned_minor: None,
        started_by: Some(by),
        approved_by: None,
        created_at: now,
        updated_at: now,
    };
    let view = View::of(pool, id, Some(&batch), app.settings.pace.approval_from).await?;
    let reply = Reply::json(StatusCode::CREATED, &view);
    let mut tx = app.db.begin().await?;
    let new = batches::insert(&mut *tx, &batch).await?;
    if !new {
        tx.rollback().await?;
        return Err(Halt::BatchState.into());
    }
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    tx.commit().await?;
    tracing::info!(campaign.id = %id, user.id = %by, "an admin ordered that gifts go back");
    Ok(reply)
}
