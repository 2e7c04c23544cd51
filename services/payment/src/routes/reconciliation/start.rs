//! `POST /api/admin/reconciliation/runs`

use axum::extract::State;
use chassis::http::Problems;
use chrono::Duration;
use common::{
    auth::Admin,
    idempotency::{self, Claim, Joined, Reply},
    openapi::IdempotencyKey,
};
use http::StatusCode;
use uuid::Uuid;

use super::view::ReconciliationRun;
use crate::{
    App,
    db::runs::{self, Run},
    error::Error,
};

/// Has the provider's account matched with the books, of as long as a daily run and up to now. For admins.
#[utoipa::path(
    post, path = "/api/admin/reconciliation/runs", tag = "admin", operation_id = "start_reconciliation",
    params(IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 202, description = "the run, which goes on by itself", body = ReconciliationRun), Problems),
)]
pub async fn start(State(app): State<App>, claim: Claim, Admin(by): Admin) -> Result<Reply, Error> {
    let now = app.clock.now();
    let day = Duration::from_std(app.settings.cadences.match_every).unwrap_or(Duration::days(1));
    let run = Run {
        id: Uuid::now_v7(),
        state: "QUEUED".to_owned(),
        cause: "admin".to_owned(),
        from_time: now - day,
        until_time: now,
        matched: 0,
        missing_local: 0,
        missing_psp: 0,
        amount_diff: 0,
        detail: None,
        created_at: now,
        finished_at: None,
    };
    let reply = Reply::json(
        StatusCode::ACCEPTED,
        &ReconciliationRun::of(run.clone(), Vec::new(), Vec::new()),
    );
    let mut tx = app.db.begin().await?;
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, &claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    runs::insert(&mut tx, &run, Some(by.user_id)).await?;
    tx.commit().await?;
    Ok(reply)
}
