//! `POST /api/admin/disputes/{id}/accept`

use axum::extract::State;
use chassis::http::Path;
use common::{
    auth::Admin,
    idempotency::{Claim, Reply},
    openapi::IdempotencyKey,
};

use super::view::View;
use crate::{App, error::Error};

chassis::problems!(Refusals:
    409 dispute_closed,
    503 psp_unavailable,
);

/// Gives in: the donor's bank keeps the money. For admins.
#[utoipa::path(
    post, path = "/api/admin/disputes/{id}/accept", tag = "admin", operation_id = "accept_dispute",
    params(("id" = String, Path, description = "the provider's id"), IdempotencyKey), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the dispute, now lost", body = View), Refusals),
)]
pub async fn accept(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<String>,
) -> Result<Reply, Error> {
    let dispute = match super::undecided(&app, &id).await {
        Ok(dispute) => dispute,
        Err(error) => return super::refuse(&app, &claim, error).await,
    };
    let called = app.charges.psp().accept(&dispute.dispute_id).await;
    let reply = super::answered(&app, &claim, &dispute, called).await?;
    tracing::info!(psp.dispute = id, user.id = %by.user_id, "an admin gave in to a dispute");
    Ok(reply)
}
