//! Moving a campaign along: what submit, approve, reject, close, cancel, suspend and resume share.

use chassis::telemetry;
use common::{
    auth::Identity,
    idempotency::{self, Claim, Joined, Reply},
    ids::CampaignId,
    outbox,
};
use http::StatusCode;

use crate::{App, db, domain::Move, error::Error, routes::view};

/// Makes a move for its organiser or an admin, once per key.
///
/// # Errors
/// When the campaign is not there for the caller, is somebody else's, or cannot make the move.
pub async fn make(
    app: &App,
    claim: &Claim,
    by: Identity,
    id: CampaignId,
    step: &Move,
) -> Result<Reply, Error> {
    loop {
        match attempt(app, claim, by, id, step).await {
            Ok(Some(reply)) => return Ok(reply),
            // Somebody moved it between our look and our write; each time round it stands further along.
            Ok(None) => {}
            Err(verdict) if verdict.is_verdict() => {
                return app.idempotency.refuse(claim, verdict).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// One look and one write; none when the campaign changed in between.
async fn attempt(
    app: &App,
    claim: &Claim,
    by: Identity,
    id: CampaignId,
    step: &Move,
) -> Result<Option<Reply>, Error> {
    let found = db::find(app.db.pool(), id).await?;
    let campaign = found
        .filter(|campaign| campaign.is_visible_to(Some(by)))
        .ok_or(Error::NotFound)?;
    if !campaign.is_run_by(by) {
        return Err(Error::NotOrganiser);
    }
    let moved = campaign.moved(step, app.clock.now())?;
    let reply = view::reply(StatusCode::OK, &moved);
    let mut tx = app.db.begin().await?;
    if !db::advance(&mut tx, &moved).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    outbox::enqueue(
        &mut tx,
        &moved.snapshot(step.kind(), by.user_id),
        telemetry::traceparent(),
    )
    .await?;
    match idempotency::join(&mut tx, claim, &reply).await? {
        Joined::Stored => tx.commit().await?,
        Joined::Replay(earlier) => {
            tx.rollback().await?;
            return Ok(Some(earlier));
        }
    }
    Ok(Some(reply))
}
