//! `GET /api/admin/webhooks`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Problem, Query};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    ids::PaymentId,
    paging::{Moment, Page, Paging},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    App,
    db::webhook_log::{self, Kept},
    domain::{Diff, Verdict},
};

chassis::problems!(Refusals:
    400 invalid_verdict,
);

/// The verdict of what was not believed; it is none of the court's.
const REJECTED: &str = "REJECTED";

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only those with this verdict. `REJECTED` are those that were not believed, of which the newest are kept.
    #[param(example = "QUARANTINED")]
    verdict: Option<String>,
    /// How many items to give at most; 20 by default.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
}

/// An event and what was decided about it.
#[derive(Serialize, ToSchema)]
pub struct WebhookEvent {
    /// The provider's id.
    id: String,
    /// Its type.
    #[serde(rename = "type")]
    kind: String,
    /// The verdict that counts: its last.
    verdict: String,
    detail: Option<String>,
    payment_id: Option<PaymentId>,
    /// What it changed.
    #[schema(value_type = Option<Diff>)]
    diff: Option<serde_json::Value>,
    /// `delivered`, or `swept` where it was read from the provider's list.
    source: String,
    trace_id: Option<String>,
    /// When it came first.
    received_at: DateTime<Utc>,
}

/// The provider's deliveries, newest first, without their bodies. For admins.
#[utoipa::path(
    get, path = "/api/admin/webhooks", tag = "admin", operation_id = "webhooks",
    params(Wanted), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "a page of events", body = Page<WebhookEvent>), Refusals),
)]
pub async fn list(
    State(app): State<App>,
    _: Admin,
    Query(wanted): Query<Wanted>,
) -> Result<impl IntoResponse, Problem> {
    let paging = Paging::of(wanted.limit, wanted.cursor);
    let rows = paging.rows()?;
    let Moment(at, event) = paging
        .after()?
        .unwrap_or_else(|| Moment(DateTime::<Utc>::MAX_UTC, String::new()));
    let before = (at, event.as_str());
    let pool = app.db.pool();
    let found = match wanted.verdict.as_deref() {
        None => webhook_log::list(pool, before, rows).await?,
        Some(REJECTED) => webhook_log::rejected(pool, before, rows).await?,
        Some(verdict) => {
            let known = Verdict::parse(verdict).ok_or_else(unknown)?;
            webhook_log::list_of(pool, known.as_str(), before, rows).await?
        }
    };
    let place = |kept: &Kept| Moment(kept.received_at, &kept.event_id).to_string();
    let page = Page::of(found, rows, place, WebhookEvent::from);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(page)))
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid_verdict",
        "verdict is not one that deliveries have",
    )
}

impl From<Kept> for WebhookEvent {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.event_id,
            kind: kept.kind,
            verdict: kept.verdict,
            detail: kept.detail,
            payment_id: kept.payment_id.map(PaymentId::from),
            diff: kept.diff,
            source: kept.source,
            trace_id: kept.trace_id,
            received_at: kept.received_at,
        }
    }
}
