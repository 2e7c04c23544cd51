//! `POST /api/pledges/{id}/cancel`.

use axum::extract::State;
use chassis::{db::Tx, http::Path, telemetry};
use common::{
    auth::Caller,
    events::{PledgeKind, PledgeStatus},
    idempotency::{self, Claim, Joined, Reply},
    ids::PledgeId,
    openapi::IdempotencyKey,
    outbox,
};
use http::{HeaderMap, StatusCode};

use super::access;
use crate::{App, db, domain::Pledge, error::Error, reply::PledgeView};

chassis::problems!(Refusals:
    409 already_captured pledge_closed,
);

/// Asks for a pledge to be called off; for its donor only.
///
/// 202 means that the wish is stored, once, and that the payment decides: the pledge is CANCELLING until the provider
/// has given the money up, or COMPLETED where the gift was faster. A try that has failed or expired within the pledge's
/// time could be followed by another, and is not after that. 200 means that it is called off already.
#[utoipa::path(post, path = "/api/pledges/{id}/cancel", tag = "pledges", operation_id = "cancel_pledge", security(("guest" = []), ("bearer" = ["OWNER"])),
    params(IdempotencyKey, ("id" = String, Path),
        ("X-Guest-Token" = Option<String>, Header, description = "as the pledge's creation gave it")),
    responses((status = 200, description = "it is called off", body = PledgeView),
        (status = 202, description = "it is being called off", body = PledgeView), Refusals))]
pub async fn cancel(
    State(app): State<App>,
    claim: Claim,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<PledgeId>,
) -> Result<Reply, Error> {
    let mut tx = app.db.begin().await?;
    let pledge = db::pledges::lock(&mut tx, id)
        .await?
        .filter(|pledge| access::is_donor(&app, caller, &headers, pledge))
        .ok_or(Error::NotFound);
    let asked = match pledge {
        Ok(pledge) => ask(&app, &mut tx, pledge).await,
        Err(error) => Err(error),
    };
    let reply = match asked {
        Ok(reply) => reply,
        Err(Error::Database(error)) => return Err(error.into()),
        // A key that has its answer keeps it, whatever has become of the pledge since.
        Err(refusal) => {
            tx.rollback().await?;
            return app.idempotency.refuse(&claim, refusal).await;
        }
    };
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, &claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    chassis::failpoint!("pledge.before_cancel_commit");
    tx.commit().await?;
    chassis::failpoint!("pledge.after_cancel_commit");
    Ok(reply)
}

/// Notes the wish and tells of it, unless both is done already, and gives what the donor is answered. Also where all
/// known payments have ended: another may follow within the pledge's time, and may even be on its way here.
async fn ask(app: &App, tx: &mut Tx, mut pledge: Pledge) -> Result<Reply, Error> {
    let now = app.clock.now();
    let has_lapsed = pledge.expires_at <= now;
    let status = match pledge.status {
        PledgeStatus::Completed | PledgeStatus::Refunded => return Err(Error::AlreadyCaptured),
        PledgeStatus::Expired | PledgeStatus::Failed if has_lapsed => {
            return Err(Error::PledgeClosed);
        }
        PledgeStatus::Cancelled if has_lapsed || pledge.cancel_requested_at.is_some() => {
            StatusCode::OK
        }
        _ => StatusCode::ACCEPTED,
    };
    if status == StatusCode::ACCEPTED && pledge.cancel_requested_at.is_none() {
        pledge.cancel_requested_at = Some(now);
        pledge.version += 1;
        let trace_id = telemetry::trace_id();
        db::pledges::request_cancel(tx, &pledge, trace_id.as_deref()).await?;
        let event = pledge.event(PledgeKind::CancelRequested, now);
        outbox::enqueue(tx, &event, telemetry::traceparent()).await?;
    }
    Ok(Reply::json(status, &PledgeView::from(&pledge)))
}
