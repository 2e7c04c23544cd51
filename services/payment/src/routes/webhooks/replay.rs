//! `POST /api/admin/webhooks/{id}/replay`

use axum::extract::State;
use chassis::{
    http::{Path, Problems, Query},
    telemetry,
};
use common::{
    auth::Admin,
    idempotency::{self, Claim, Joined, Reply},
    ids::PaymentId,
    openapi::IdempotencyKey,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{App, court, delivery::Source, domain::Diff, error::Error, replay};

/// How.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct How {
    /// Whether it is only told what judging it now would do; that is so unless it is `false`.
    #[serde(default = "yes")]
    dry_run: bool,
}

const fn yes() -> bool {
    true
}

/// What judging an event now does, or would do.
#[derive(Serialize, ToSchema)]
pub struct Replay {
    id: String,
    /// Whether nothing was written.
    dry_run: bool,
    #[schema(example = "APPLIED")]
    verdict: &'static str,
    detail: Option<&'static str>,
    payment_id: Option<PaymentId>,
    /// What it changes.
    diff: Option<Diff>,
}

/// Judges one of the provider's deliveries again, or tells what that would change. For admins.
///
/// What has had its effect never has it again. The new verdict is added to the event's, with the admin's id.
#[utoipa::path(
    post, path = "/api/admin/webhooks/{id}/replay", tag = "admin", operation_id = "replay_webhook",
    params(("id" = String, Path, description = "the provider's id of the event"), How, IdempotencyKey),
    security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the verdict and what it changes", body = Replay), Problems),
)]
pub async fn replay(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<String>,
    Query(How { dry_run }): Query<How>,
) -> Result<Reply, Error> {
    let source = Source::Replayed(by.user_id);
    let Some(delivery) = replay::load(&app, &id, source, telemetry::trace_id()).await? else {
        return Err(Error::NotFound);
    };
    let mut tx = app.db.begin().await?;
    let judged = court::judge(&mut tx, &[delivery], app.clock.now()).await?;
    let Some(judged) = judged.into_iter().next() else {
        return Err(Error::Internal("an event has no verdict".to_owned()));
    };
    let view = Replay {
        id: id.clone(),
        dry_run,
        verdict: judged.verdict.as_str(),
        detail: judged.detail,
        payment_id: judged.payment_id,
        diff: judged.diff,
    };
    let reply = Reply::json(StatusCode::OK, &view);
    if dry_run {
        tx.rollback().await?;
        return Ok(reply);
    }
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, &claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    tx.commit().await?;
    judged.tell(&id);
    tracing::info!(psp.event = id, user.id = %by.user_id, verdict = view.verdict, "an event was judged again");
    Ok(reply)
}
