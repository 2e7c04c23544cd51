//! `GET /api/admin/webhooks/{id}`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problems};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    ids::{PaymentId, UserId},
};
use http::header;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    App,
    db::{
        rulings::{self, Later},
        webhook_log,
    },
    domain::{Diff, is_name},
    error::Error,
    rejections,
};

/// What stands in the place of a secret or of personal data.
const REDACTED: &str = "[redacted]";
/// The members whose values nobody needs to see.
const HIDDEN: [&str; 9] = [
    "address",
    "billing_details",
    "client_secret",
    "email",
    "name",
    "phone",
    "receipt_email",
    "receipt_url",
    "shipping",
];

/// An event with everything that is known of it.
#[derive(Serialize, ToSchema)]
pub struct WebhookDetail {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    /// The first verdict.
    verdict: String,
    detail: Option<String>,
    payment_id: Option<PaymentId>,
    #[schema(value_type = Option<Diff>)]
    diff: Option<Value>,
    source: String,
    trace_id: Option<String>,
    received_at: DateTime<Utc>,
    /// The verdicts after it, oldest first; the last one counts.
    rulings: Vec<WebhookRuling>,
    /// How often it was delivered again.
    came_again: i64,
    /// Its signature header.
    signature: String,
    headers: Option<Value>,
    /// As it came, without secrets and personal data; none where it does not open any more, or is no JSON.
    body: Option<Value>,
}

/// A later verdict.
#[derive(Serialize, ToSchema)]
pub struct WebhookRuling {
    n: i32,
    verdict: String,
    detail: Option<String>,
    #[schema(value_type = Option<Diff>)]
    diff: Option<Value>,
    /// Why it was judged again.
    cause: String,
    /// The admin who wanted it.
    ruled_by: Option<UserId>,
    at: DateTime<Utc>,
}

/// One of the provider's deliveries, with all its verdicts, or one that was not believed. For admins.
#[utoipa::path(
    get, path = "/api/admin/webhooks/{id}", tag = "admin", operation_id = "webhook",
    params(("id" = String, Path, description = "the provider's id of the event, or the id of a rejected delivery")), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the event", body = WebhookDetail), Problems),
)]
pub async fn get(
    State(app): State<App>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Error> {
    if !is_name(&id) {
        return Err(Error::NotFound);
    }
    let rejected = rejections::slot(&id);
    let event = match rejected {
        Some(slot) => webhook_log::find_rejected(app.db.pool(), slot).await?,
        None => webhook_log::find(app.db.pool(), &id).await?,
    };
    let event = event.ok_or(Error::NotFound)?;
    let rulings = rulings::of(app.db.pool(), &id).await?;
    let owner = rejected.map_or(id.as_bytes(), |_| rejections::OWNER);
    let clear = app.sealer.open(owner, &event.body).ok();
    let body = clear.and_then(|clear| serde_json::from_slice(&clear).ok());
    let detail = WebhookDetail {
        id: event.event_id,
        kind: event.kind,
        verdict: event.verdict,
        detail: event.detail,
        payment_id: event.payment_id.map(PaymentId::from),
        diff: event.diff,
        source: event.source,
        trace_id: event.trace_id,
        received_at: event.received_at,
        rulings: rulings.into_iter().map(WebhookRuling::from).collect(),
        came_again: event.came_again,
        signature: event.signature,
        headers: event.headers,
        body: body.map(redacted),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(detail)))
}

fn redacted(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let hidden = HIDDEN.contains(&name.as_str()) && !value.is_null();
                let value = if hidden {
                    REDACTED.into()
                } else {
                    redacted(value)
                };
                (name, value)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        plain => plain,
    }
}

impl From<Later> for WebhookRuling {
    fn from(later: Later) -> Self {
        Self {
            n: later.n,
            verdict: later.verdict,
            detail: later.detail,
            diff: later.diff,
            cause: later.cause,
            ruled_by: later.ruled_by.map(UserId::from),
            at: later.at,
        }
    }
}
