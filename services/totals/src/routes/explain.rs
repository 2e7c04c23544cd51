//! `GET /api/totals/{id}/explain`: how the totals of a campaign came about.

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems, Query};
use chrono::{DateTime, Utc};
use common::{
    auth::Caller,
    ids::{CampaignId, PaymentId},
    paging::{Page, Paging},
};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App,
    db::{self, moves::Explained},
    domain::Buckets,
    error::Error,
};

/// A change of the totals, and the payment's snapshot that made it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TotalsMove {
    payment_id: PaymentId,
    /// Of the payment's snapshot.
    version: i64,
    /// What happened to the payment, or `rebuild` where the totals were built anew from it.
    #[schema(example = "payment.captured")]
    cause: String,
    /// By how much each bucket moved, in minor units of the campaign's currency.
    by: Buckets,
    /// Of what happened to the payment.
    #[schema(required)]
    trace_id: Option<String>,
    /// When it was applied.
    at: DateTime<Utc>,
}

/// The moves that sum to the totals of a campaign, newest first. For admins and the campaign's organiser.
///
/// For anyone else there is nothing (404). Where the totals were built anew, the moves begin with that.
#[utoipa::path(
    get, path = "/api/totals/{id}/explain", tag = "totals", operation_id = "explain_totals",
    params(("id" = CampaignId, Path), Paging), security(("bearer" = ["ORGANISER"]), ("bearer" = ["ADMIN"])),
    responses((status = OK, body = Page<TotalsMove>), Problems),
)]
pub(crate) async fn explain(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<CampaignId>,
    Query(paging): Query<Paging>,
) -> Result<impl IntoResponse, Error> {
    let pool = app.db.pool();
    if !caller.is_admin() {
        let identity = caller.identity().ok_or(Error::NotFound)?;
        if db::campaigns::organiser(pool, id).await? != Some(identity.user_id) {
            return Err(Error::NotFound);
        }
    }
    let rows = paging.rows().map_err(Error::Page)?;
    let before = paging.after().map_err(Error::Page)?.unwrap_or(i64::MAX);
    let found = db::moves::before(pool, id, before, rows).await?;
    if found.is_empty() && !db::totals::exists(pool, id).await? {
        return Err(Error::NotFound);
    }
    let page = Page::of(found, rows, |one| one.move_id.to_string(), TotalsMove::from);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(page)))
}

impl From<Explained> for TotalsMove {
    fn from(one: Explained) -> Self {
        Self {
            payment_id: one.payment_id.into(),
            version: one.version,
            cause: one.cause,
            by: one.by,
            trace_id: one.trace_id,
            at: one.at,
        }
    }
}
