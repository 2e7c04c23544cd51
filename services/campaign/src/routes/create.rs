//! `POST /api/campaigns`

use axum::extract::State;
use chassis::{http::Json, telemetry};
use common::{
    auth::Identity,
    events::CampaignKind,
    idempotency::{self, Claim, Joined, Reply},
    openapi::IdempotencyKey,
    outbox,
};
use http::StatusCode;

use super::view::{self, CampaignView};
use crate::{App, Proposal, db, domain::Campaign, error::Error};

chassis::problems!(Refusals:
    422 invalid_title invalid_story invalid_category invalid_amount goal_not_positive
        unknown_currency invalid_min_amount ends_at_past unknown_timezone,
);

/// Begins a campaign, as a draft that only its organiser and admins see.
#[utoipa::path(
    post, path = "/api/campaigns", tag = "campaigns", operation_id = "create_campaign",
    params(IdempotencyKey), request_body = Proposal, security(("bearer" = [])),
    responses((status = 201, description = "the draft", body = CampaignView), Refusals),
)]
pub async fn create(
    State(app): State<App>,
    claim: Claim,
    organiser: Identity,
    Json(proposal): Json<Proposal>,
) -> Result<Reply, Error> {
    match proposal.draft(organiser.user_id, app.clock.now()) {
        Ok(campaign) => store(&app, &claim, &campaign).await,
        Err(faults) => app.idempotency.refuse(&claim, Error::Invalid(faults)).await,
    }
}

/// The draft, its snapshot and the reply commit together.
async fn store(app: &App, claim: &Claim, campaign: &Campaign) -> Result<Reply, Error> {
    let mut reply = view::reply(StatusCode::CREATED, campaign);
    reply.headers.push((
        "location".to_owned(),
        format!("/api/campaigns/{}", campaign.id),
    ));
    let mut tx = app.db.begin().await?;
    match idempotency::join(&mut tx, claim, &reply).await? {
        Joined::Stored => {}
        Joined::Replay(earlier) => {
            tx.rollback().await?;
            return Ok(earlier);
        }
    }
    db::insert(&mut tx, campaign).await?;
    outbox::enqueue(
        &mut tx,
        &campaign.snapshot(CampaignKind::Created, campaign.organiser_id),
        telemetry::traceparent(),
    )
    .await?;
    tx.commit().await?;
    Ok(reply)
}
