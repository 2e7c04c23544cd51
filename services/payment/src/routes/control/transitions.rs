//! `GET /api/payments/{id}/transitions`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems};
use chrono::{DateTime, Utc};
use common::{auth::Caller, ids::PaymentId, payment::State as Stands};
use http::{HeaderMap, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{App, db::history, error::Error, routes::create::visible};

/// How a payment came to stand where it stands.
#[derive(Serialize, ToSchema)]
pub struct Transitions {
    /// Oldest first.
    data: Vec<StepView>,
}

/// One step.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentTransition)]
pub struct StepView {
    from: Stands,
    to: Stands,
    /// The provider's event type, or what else moved it.
    #[schema(example = "payment_intent.succeeded")]
    cause: String,
    /// Whether nobody told of this step, but of a later one.
    implied: bool,
    /// The provider's event behind it.
    provider_event: Option<String>,
    /// The request behind it.
    trace_id: Option<String>,
    /// Version of the payment after it.
    version: i64,
    at: DateTime<Utc>,
}

/// The history of a payment, for its donor.
///
/// For anyone else it does not exist (404).
#[utoipa::path(
    get, path = "/api/payments/{id}/transitions", tag = "payments", operation_id = "payment_transitions",
    params(
        ("id" = PaymentId, Path, description = "the payment"),
        ("X-Guest-Token" = Option<String>, Header, description = "the pledge's guest token"),
    ),
    security(("guest" = []), ("bearer" = ["OWNER"]), ("bearer" = ["ADMIN"])),
    responses((status = 200, description = "its steps, oldest first", body = Transitions), Problems),
)]
pub async fn transitions(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<PaymentId>,
) -> Result<impl IntoResponse, Error> {
    let payment = visible(&app, caller, &headers, id).await?;
    let steps = history::of(app.db.pool(), payment.payment_id).await?;
    let data = steps.into_iter().map(StepView::from).collect();
    Ok((
        [(header::CACHE_CONTROL, "no-store")],
        Json(Transitions { data }),
    ))
}

impl From<history::Step> for StepView {
    fn from(step: history::Step) -> Self {
        Self {
            from: step.from,
            to: step.to,
            cause: step.cause,
            implied: step.implied,
            provider_event: step.psp_event,
            trace_id: step.trace_id,
            version: step.version,
            at: step.at,
        }
    }
}
