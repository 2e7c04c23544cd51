//! `POST /api/admin/totals/rebuild`, `POST /api/admin/totals/{id}/rebuild`, `GET /api/admin/totals/rebuilds/{run}`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    idempotency::{self, Claim, Joined, Reply},
    ids::{CampaignId, UserId},
    openapi::IdempotencyKey,
};
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    App,
    db::rebuilds::{self, Build},
    error::Error,
};

chassis::problems!(Refusals:
    409 rebuild_running,
);

/// A rebuild.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rebuild {
    id: Uuid,
    /// The only campaign that is built anew; null: all are.
    #[schema(required)]
    campaign_id: Option<CampaignId>,
    /// `BUILDING`, or `LIVE` once its totals have taken the place of the old ones.
    #[schema(example = "BUILDING")]
    state: String,
    /// How many payments were read so far.
    payments: i64,
    /// How many of them can never be counted, such as those of another currency than their campaign's.
    skipped: i64,
    /// The admin who asked for it.
    started_by: UserId,
    started_at: DateTime<Utc>,
    #[schema(required)]
    finished_at: Option<DateTime<Utc>>,
}

impl From<Build> for Rebuild {
    fn from(run: Build) -> Self {
        Self {
            id: run.run_id,
            campaign_id: run.campaign_id.map(Into::into),
            state: run.state,
            payments: run.payments,
            skipped: run.skipped,
            started_by: run.started_by.into(),
            started_at: run.started_at,
            finished_at: run.finished_at,
        }
    }
}

/// Builds the totals of all campaigns anew from what the payment service has, while everything goes on. For admins.
#[utoipa::path(
    post, path = "/api/admin/totals/rebuild", tag = "admin", operation_id = "rebuild_totals",
    params(IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 202, description = "it runs", body = Rebuild), Refusals),
)]
pub(crate) async fn all(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
) -> Result<Reply, Error> {
    begin(&app, &claim, None, by.user_id).await
}

/// Builds the totals of one campaign anew. For admins.
#[utoipa::path(
    post, path = "/api/admin/totals/{id}/rebuild", tag = "admin", operation_id = "rebuild_totals_of",
    params(("id" = CampaignId, Path), IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 202, description = "it runs", body = Rebuild), Refusals),
)]
pub(crate) async fn one(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<CampaignId>,
) -> Result<Reply, Error> {
    begin(&app, &claim, Some(id), by.user_id).await
}

/// The run and the reply commit together.
async fn begin(
    app: &App,
    claim: &Claim,
    campaign: Option<CampaignId>,
    by: UserId,
) -> Result<Reply, Error> {
    let mut tx = app.db.begin().await?;
    let run = rebuilds::begin(&mut tx, Uuid::now_v7(), campaign, by, app.clock.now()).await?;
    let Some(run) = run else {
        tx.rollback().await?;
        return app.idempotency.refuse(claim, Error::RebuildRunning).await;
    };
    let id = run.run_id;
    let reply = Reply::json(StatusCode::ACCEPTED, &Rebuild::from(run));
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    tx.commit().await?;
    app.begun.notify_one();
    tracing::info!(rebuild.id = %id, user.id = %by, "a rebuild of the totals begins");
    Ok(reply)
}

/// How far a rebuild is. For admins.
#[utoipa::path(
    get, path = "/api/admin/totals/rebuilds/{run}", tag = "admin", operation_id = "get_rebuild",
    params(("run" = Uuid, Path)), security(("bearer" = ["ADMIN"])),
    responses((status = OK, body = Rebuild), Problems),
)]
pub(crate) async fn find(
    State(app): State<App>,
    _: Admin,
    Path(run): Path<Uuid>,
) -> Result<impl IntoResponse, Error> {
    let run = rebuilds::find(app.db.pool(), run).await?;
    let run = run.ok_or(Error::NotFound)?;
    Ok((
        [(header::CACHE_CONTROL, "no-store")],
        Json(Rebuild::from(run)),
    ))
}
