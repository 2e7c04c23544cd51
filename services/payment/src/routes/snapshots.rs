//! `GET /internal/payments`: payments as they stand, for other services. The gateway knows no such path.

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use chassis::http::{Json, Problem, Query};
use common::{auth::Service, events::PaymentSnapshots, ids::PaymentId};
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::{App, db::lookup, domain::Payment};

/// The most payments in a page.
const MOST: i64 = 1_000;

/// Where the page begins and how long it is.
#[derive(Deserialize)]
struct Asked {
    /// The last payment of the page before; none for the first page.
    after: Option<PaymentId>,
    limit: Option<i64>,
}

/// What is for other services: outside of the public description.
pub fn internal() -> OpenApiRouter<App> {
    OpenApiRouter::from(Router::new().route("/internal/payments", get(page)))
}

/// One page, in the order of the payments' ids.
async fn page(
    State(app): State<App>,
    _: Service,
    Query(asked): Query<Asked>,
) -> Result<impl IntoResponse, Problem> {
    let limit = asked.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_limit",
            format!("limit must be between 1 and {MOST}"),
        ));
    }
    let after = asked.after.map_or(Uuid::nil(), PaymentId::get);
    let found = lookup::after(app.db.pool(), after, limit).await?;
    let payments: Vec<_> = found.iter().map(Payment::as_it_stands).collect();
    let full = i64::try_from(payments.len()).is_ok_and(|found| found == limit);
    let next = payments.last().filter(|_| full).map(|last| last.payment_id);
    Ok((
        [(header::CACHE_CONTROL, "no-store")],
        Json(PaymentSnapshots { payments, next }),
    ))
}
