//! What is below `/api/admin/disputes`.

mod accept;
mod evidence;
mod list;
mod view;

use common::idempotency::{self, Claim, Joined, Reply};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, alarm,
    db::disputes,
    domain::{Dispute, Halt, is_reference},
    error::Error,
    money_back,
    provider::Failure,
};

/// The routes that take an Idempotency-Key.
pub fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(accept::accept))
        .routes(routes!(evidence::evidence))
}

pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list::list))
}

/// A dispute that the bank has not decided yet.
async fn undecided(app: &App, id: &str) -> Result<Dispute, Error> {
    let found = if is_reference(id) {
        disputes::find(app.db.pool(), id).await?
    } else {
        None
    };
    let dispute = found.ok_or(Error::NotFound)?;
    if dispute.status.is_closed() {
        return Err(Halt::DisputeClosed.into());
    }
    Ok(dispute)
}

/// What came of a call about a dispute: the provider is asked how it stands now, and the reply is kept.
async fn answered(
    app: &App,
    claim: &Claim,
    dispute: &Dispute,
    called: Result<(), Failure>,
) -> Result<Reply, Error> {
    money_back::ask(app, dispute.payment_id).await?;
    if let Err(failure) = called {
        // Where the bank was faster, that is the reason.
        undecided(app, &dispute.dispute_id).await?;
        if let Failure::Misconfigured(said) = &failure {
            alarm::raise(alarm::PSP_MISCONFIGURED, Some(dispute.payment_id), said);
        }
        tracing::warn!(psp.dispute = dispute.dispute_id, error = %failure, "no answer about a dispute");
        return Err(Error::PspUnavailable);
    }
    let now = disputes::find(app.db.pool(), &dispute.dispute_id).await?;
    let reply = Reply::json(
        StatusCode::OK,
        &view::View::from(&now.ok_or(Error::NotFound)?),
    );
    let mut tx = app.db.begin().await?;
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    tx.commit().await?;
    Ok(reply)
}

/// A refusal, unless the key has a reply already.
async fn refuse(app: &App, claim: &Claim, error: Error) -> Result<Reply, Error> {
    match error {
        refusal @ (Error::Halt(_) | Error::NotFound) => {
            app.idempotency.refuse(claim, refusal).await
        }
        error => Err(error),
    }
}
