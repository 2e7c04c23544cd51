//! `GET /api/admin/reconciliation/runs/{id}`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems};
use common::auth::Admin;
use http::header;
use uuid::Uuid;

use super::view::ReconciliationRun;
use crate::{
    App,
    db::{payouts, runs},
    error::Error,
};

/// How many differences are told, and how many payouts.
const SHOWN: i64 = 1_000;

/// A run, and once it is done what it found. For admins.
#[utoipa::path(
    get, path = "/api/admin/reconciliation/runs/{id}", tag = "admin", operation_id = "reconciliation_run",
    params(("id" = Uuid, Path, description = "the run")), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the run", body = ReconciliationRun), Problems),
)]
pub async fn get(
    State(app): State<App>,
    _: Admin,
    Path(id): Path<Uuid>,
) -> Result<impl IntoResponse, Error> {
    let run = runs::find(app.db.pool(), id)
        .await?
        .ok_or(Error::NotFound)?;
    let differences = runs::differences(app.db.pool(), id, SHOWN).await?;
    let payouts = payouts::made(app.db.pool(), run.from_time, run.until_time, SHOWN).await?;
    let view = ReconciliationRun::of(run, differences, payouts);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(view)))
}
