//! `GET /api/admin/disputes`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Problem, Problems, Query};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    paging::{Moment, Page, Paging},
};
use http::header;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::View;
use crate::{
    App,
    db::disputes,
    domain::{Dispute, DisputeStatus},
};

/// Which disputes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Of this status alone; of all by default.
    #[param(inline)]
    status: Option<DisputeStatus>,
}

/// Disputes, newest first. For admins.
#[utoipa::path(
    get, path = "/api/admin/disputes", tag = "admin", operation_id = "list_disputes",
    params(Which, Paging), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "a page of disputes", body = Page<View>), Problems),
)]
pub async fn list(
    State(app): State<App>,
    _: Admin,
    Query(which): Query<Which>,
    Query(paging): Query<Paging>,
) -> Result<impl IntoResponse, Problem> {
    let rows = paging.rows()?;
    let first = || Moment(DateTime::<Utc>::MAX_UTC, String::new());
    let Moment(at, id) = paging.after()?.unwrap_or_else(first);
    let statuses = which
        .status
        .map_or(DisputeStatus::ALL.to_vec(), |one| vec![one]);
    let found = disputes::list(app.db.pool(), &statuses, (at, &id), rows).await?;
    let place = |dispute: &Dispute| Moment(dispute.opened_at, &dispute.dispute_id).to_string();
    let page = Page::of(found, rows, place, |dispute| View::from(&dispute));
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(page)))
}
