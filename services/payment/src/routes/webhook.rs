//! `POST /api/webhooks/psp/stripe`

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use chassis::{
    http::{Json, Problems},
    telemetry::{self, metrics},
};
use http::{HeaderMap, StatusCode};
use prometheus::IntCounterVec;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App, alarm,
    court::Delivery,
    domain::Notice,
    error::Error,
    signature::{self, BadSignature},
};

static VERDICTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "webhook_verdicts_total",
        "Verified deliveries by verdict.",
        &["verdict"],
    )
});
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
    request_body(content = String, content_type = "application/json", description = "an event, at most 256 KiB"),
    responses((status = 200, description = "the verdict is committed", body = Receipt), Problems),
)]
pub async fn stripe(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Error> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge,
        _ => Error::MalformedEvent,
    })?;
    let received_at = app.clock.now();
    let signature = headers
        .get("stripe-signature")
        .and_then(|value| value.to_str().ok());
    let verified = signature
        .ok_or(BadSignature::Malformed)
        .and_then(|signature| {
            signature::verify(
                signature,
                &body,
                &app.settings.webhook_secrets,
                received_at.timestamp(),
            )?;
            Ok(signature)
        });
    let signature = verified.map_err(|why| {
        REFUSED.with_label_values(&[why.as_str()]).inc();
        tracing::warn!(reason = why.as_str(), "a webhook delivery was not believed");
        Error::BadSignature
    })?;
    let notice = Notice::read(&body, app.settings.livemode).map_err(|_| Error::MalformedEvent)?;
    let delivery = Delivery {
        body: app.sealer.seal(notice.event_id.as_bytes(), &body),
        notice,
        signature: signature.to_owned(),
        trace_id: telemetry::trace_id(),
        received_at,
    };
    let event_id = delivery.notice.event_id.clone();
    let judged = app.court.commit(delivery).await?;
    let verdict = judged.verdict;
    VERDICTS.with_label_values(&[verdict.as_str()]).inc();
    if let Some(kind) = verdict.alarm() {
        tracing::warn!(
            psp.event = event_id,
            verdict = verdict.as_str(),
            "a delivery moved nothing"
        );
        alarm::raise(kind, judged.payment_id, judged.detail.unwrap_or_default());
    }
    Ok(Json(Receipt {
        verdict: verdict.as_str(),
    }))
}
