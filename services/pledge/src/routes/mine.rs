//! `GET /api/pledges/me`.

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Problem, Problems, Query};
use common::{
    auth::Identity,
    ids::PledgeId,
    paging::{Page, Paging},
};
use http::header;

use crate::{App, db, reply::PledgeView};

/// Lists the pledges of the caller's account, newest first.
#[utoipa::path(get, path = "/api/pledges/me", tag = "pledges", operation_id = "my_pledges", params(Paging), security(("bearer" = [])),
    responses((status = 200, body = Page<PledgeView>), Problems))]
pub async fn mine(
    State(app): State<App>,
    identity: Identity,
    Query(paging): Query<Paging>,
) -> Result<impl IntoResponse, Problem> {
    let (rows, before) = (paging.rows()?, paging.after::<PledgeId>()?);
    let found = db::pledges::of_donor(&app.db, identity.user_id, before, rows).await?;
    let page = Page::of(
        found,
        rows,
        |pledge| pledge.id.to_string(),
        |pledge| PledgeView::from(&pledge),
    );
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(page)))
}
