//! `GET /api/admin/payments`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Problem, Problems, Query};
use chrono::Duration;
use common::{
    auth::Admin,
    ids::PaymentId,
    paging::{Page, Paging},
    payment::State as Stands,
};
use http::header;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    App,
    db::{history, lookup},
    domain::Payment,
    routes::view::View,
};

/// After so long without a move, a payment that waits for the provider is stuck.
const STUCK: Duration = Duration::minutes(5);

/// Which payments.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only those that have waited for the provider for more than five minutes.
    #[serde(default)]
    stuck: bool,
    /// Only those that stand here.
    state: Option<Stands>,
    /// How many items to give at most; 20 by default.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
}

/// Payments, in the order of their ids. For admins.
#[utoipa::path(
    get, path = "/api/admin/payments", tag = "admin", operation_id = "list_payments",
    params(Which), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "a page of payments", body = Page<View>), Problems),
)]
pub async fn list(
    State(app): State<App>,
    _: Admin,
    Query(which): Query<Which>,
) -> Result<impl IntoResponse, Problem> {
    let paging = Paging::of(which.limit, which.cursor);
    let rows = paging.rows()?;
    let after = paging.after()?.unwrap_or(PaymentId::from(Uuid::nil()));
    let pool = app.db.pool();
    let ids = match (which.stuck, which.state) {
        (true, state) => {
            let before = app.clock.now() - STUCK;
            history::stuck(pool, state, before, after, rows).await?
        }
        (false, Some(state)) => history::in_state(pool, state, after, rows).await?,
        (false, None) => history::all(pool, after, rows).await?,
    };
    let found = lookup::all(pool, &ids).await?;
    let place = |payment: &Payment| payment.payment_id.to_string();
    let page = Page::of(found, rows, place, |payment| View::from(&payment));
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(page)))
}
