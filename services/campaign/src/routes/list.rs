//! `GET /api/campaigns`

use axum::extract::State;
use chassis::http::{Json, Problem, Problems, Query};
use common::{
    auth::Caller,
    events::CampaignStatus,
    paging::{Page, Paging},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::CampaignSummary;
use crate::{
    App,
    db::{self, Filter},
    domain::is_public,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// ACTIVE by default.
    status: Option<CampaignStatus>,
}

/// Campaigns of one status, newest first.
///
/// Of a status that is not public, organisers see their own, admins see all, and guests see none.
#[utoipa::path(
    get, path = "/api/campaigns", tag = "campaigns", operation_id = "list_campaigns",
    params(Wanted, Paging), security((), ("bearer" = [])),
    responses((status = 200, description = "a page of campaigns", body = Page<CampaignSummary>), Problems),
)]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<CampaignSummary>>, Problem> {
    let status = wanted.status.unwrap_or(CampaignStatus::Active);
    let (rows, before) = (paging.rows()?, paging.after()?);
    let organiser = match caller.identity() {
        _ if is_public(status) || caller.is_admin() => None,
        Some(identity) => Some(identity.user_id),
        None => {
            return Ok(Json(Page {
                data: Vec::new(),
                next_cursor: None,
            }));
        }
    };
    let found = db::list(
        app.db.pool(),
        &Filter {
            status,
            organiser,
            before,
        },
        rows,
    )
    .await?;
    Ok(Json(Page::of(
        found,
        rows,
        |campaign| campaign.id.to_string(),
        CampaignSummary::from,
    )))
}
