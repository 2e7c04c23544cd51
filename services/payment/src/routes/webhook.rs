//! `POST /api/webhooks/psp/stripe`

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use chassis::{
    http::Json,
    telemetry::{self, metrics},
};
use common::group_commit;
use http::{HeaderMap, HeaderValue, StatusCode};
use prometheus::IntCounterVec;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App,
    delivery::{Delivery, Source},
    domain::Notice,
    error::Error,
    routes::event::Event,
    signature::{self, BadSignature},
};

chassis::problems!(Refusals:
    400 malformed_event,
    401 bad_signature,
);

/// How much of a header is kept, in characters.
const HEADER: usize = 300;
/// The headers that are kept in clear of every delivery, its signature apart.
const HARMLESS: [&str; 2] = ["content-type", "user-agent"];
/// Those of a delivery that was not believed.
const OF_REJECTED: [&str; 3] = ["content-type", "stripe-signature", "user-agent"];

static REFUSED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "webhook_refused_total",
        "Deliveries that were not believed.",
        &["reason"],
    )
});

/// What was decided about a delivery.
#[derive(Serialize, ToSchema)]
pub struct Receipt {
    #[schema(example = "APPLIED")]
    verdict: &'static str,
}

/// Takes a delivery of the payment provider.
///
/// 200 means that the verdict is committed; anything else means: send it again.
#[utoipa::path(
    post, path = "/api/webhooks/psp/stripe", tag = "webhooks", operation_id = "stripe_webhook",
    params(("Stripe-Signature" = String, Header, description = "HMAC-SHA-256 over time and raw body")),
    security(("stripe" = [])),
    request_body(content = Event, content_type = "application/json", description = "an event, at most 256 KiB"),
    responses((status = 200, description = "the verdict is committed", body = Receipt), Refusals),
)]
pub async fn stripe(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Error> {
    receive(&app, &headers, body).await
}

/// Another name of `POST /api/webhooks/psp/stripe`.
#[utoipa::path(
    post, path = "/api/webhooks/payment", tag = "webhooks", operation_id = "payment_webhook",
    params(("Stripe-Signature" = String, Header, description = "HMAC-SHA-256 over time and raw body")),
    security(("stripe" = [])),
    request_body(content = Event, content_type = "application/json", description = "an event, at most 256 KiB"),
    responses((status = 200, description = "the verdict is committed", body = Receipt), Refusals),
)]
pub async fn payment(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Error> {
    receive(&app, &headers, body).await
}

/// Another name of `POST /api/webhooks/psp/stripe`.
#[utoipa::path(
    post, path = "/api/payments/webhook", tag = "webhooks", operation_id = "payments_webhook",
    params(("Stripe-Signature" = String, Header, description = "HMAC-SHA-256 over time and raw body")),
    security(("stripe" = [])),
    request_body(content = Event, content_type = "application/json", description = "an event, at most 256 KiB"),
    responses((status = 200, description = "the verdict is committed", body = Receipt), Refusals),
)]
pub async fn payments(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Error> {
    receive(&app, &headers, body).await
}

async fn receive(
    app: &App,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Error> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge,
        _ => Error::MalformedEvent,
    })?;
    let received_at = app.clock.now();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let verified = text("stripe-signature")
        .ok_or(BadSignature::Malformed)
        .and_then(|signature| {
            let secrets = &app.settings.webhook_secrets;
            signature::verify(signature, &body, secrets, received_at.timestamp())?;
            Ok(signature)
        });
    let signature = match verified {
        Ok(signature) => signature,
        Err(why) => {
            REFUSED.with_label_values(&[why.as_str()]).inc();
            tracing::warn!(reason = why.as_str(), "a webhook delivery was not believed");
            app.rejections
                .keep(app, why.as_str(), &body, kept(headers, &OF_REJECTED))
                .await;
            return Err(Error::BadSignature);
        }
    };
    let Ok(notice) = Notice::read(&body, app.settings.livemode) else {
        let headers = kept(headers, &OF_REJECTED);
        app.rejections.keep(app, "unreadable", &body, headers).await;
        return Err(Error::MalformedEvent);
    };
    let delivery = Delivery {
        body: app.sealer.seal(notice.event_id.as_bytes(), &body),
        notice,
        signature: signature.to_owned(),
        headers: kept(headers, &HARMLESS),
        trace_id: telemetry::trace_id(),
        received_at,
        source: Source::Delivered,
    };
    let event_id = delivery.notice.event_id.clone();
    let judged = app
        .court
        .commit(delivery)
        .await
        .map_err(|error| match error {
            // Whoever has the payment just now is soon done: the provider sends it again, as after any 5xx.
            group_commit::Error::InProgress => group_commit::Error::Busy,
            other => other,
        })?;
    judged.tell(&event_id);
    Ok(Json(Receipt {
        verdict: judged.verdict.as_str(),
    }))
}

/// These headers, as JSON.
fn kept(headers: &HeaderMap, names: &[&'static str]) -> Option<String> {
    let text = |name: &'static str| {
        let value: Option<&HeaderValue> = headers.get(name);
        let value = value.and_then(|value| value.to_str().ok());
        value.map(|value| {
            (
                name,
                value
                    .chars()
                    .filter(|char| !char.is_control())
                    .take(HEADER)
                    .collect::<String>(),
            )
        })
    };
    let kept: BTreeMap<&str, String> = names.iter().copied().filter_map(text).collect();
    if kept.is_empty() {
        return None;
    }
    serde_json::to_string(&kept).ok()
}
