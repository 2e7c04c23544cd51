//! `GET /api/campaigns/{id}/totals`: what a campaign has raised.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chassis::http::{Path, Problem, Problems};
use common::ids::CampaignId;
use http::{HeaderValue, header};

use crate::{App, replies::View};

/// Gives the totals of a campaign, at most 50 ms behind what has been consumed.
#[utoipa::path(
    get, path = "/api/campaigns/{id}/totals", tag = "totals", operation_id = "campaign_totals", security(()),
    params(("id" = CampaignId, Path)),
    responses((status = OK, body = View), Problems),
)]
pub(crate) async fn get(
    State(app): State<App>,
    Path(id): Path<CampaignId>,
) -> Result<Response, Problem> {
    let Some(reply) = app
        .replies
        .get(id)
        .await
        .map_err(|error| Problem::database(&error))?
    else {
        return Err(Problem::not_found());
    };
    Ok((
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        reply,
    )
        .into_response())
}

/// Gives the same by a shorter path.
#[utoipa::path(
    get, path = "/api/totals/{id}", tag = "totals", operation_id = "totals", security(()),
    params(("id" = CampaignId, Path)),
    responses((status = OK, body = View), Problems),
)]
pub(crate) async fn alias(app: State<App>, id: Path<CampaignId>) -> Result<Response, Problem> {
    get(app, id).await
}
