//! Refusals in Stripe's shape: `{"error":{"type":..,"code":..,"message":..}}`.

use std::borrow::Cow;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    cards::Decline,
    model::{Intent, LastError},
    reply::Reply,
    view::{self, Audience, IntentView},
};

/// Why a call was refused.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// Whether the call got as far as its execution: only then is the reply kept under its idempotency key.
    pub(crate) executed: bool,
    detail: Box<Detail>,
}

#[derive(Clone, Debug, Default)]
struct Detail {
    kind: &'static str,
    message: String,
    code: Option<Cow<'static, str>>,
    param: Option<Cow<'static, str>>,
    decline_code: Option<String>,
    charge: Option<String>,
    intent: Option<Intent>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        let detail = Detail {
            kind,
            message: message.into(),
            ..Detail::default()
        };
        Self {
            status,
            executed: false,
            detail: Box::new(detail),
        }
    }

    /// The request itself is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// What the request asks for cannot be done.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        let mut error = Self::invalid(message);
        error.executed = true;
        error
    }

    /// More requests than the merchant may make.
    pub(crate) fn too_many() -> Self {
        let message = "Request rate limit exceeded. Learn more about rate limits: https://stripe.com/docs/rate-limits.";
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "invalid_request_error",
            message,
        )
        .code("rate_limit")
    }

    /// The key is missing or wrong.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    /// There is no such route.
    pub(crate) fn unrecognized(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    /// There is no `noun` with this id; `param` is the name by which Stripe calls the id.
    pub(crate) fn missing(noun: &str, id: &str, param: &'static str) -> Self {
        let message = format!("No such {noun}: '{id}'");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
            .code("resource_missing")
            .param(param)
    }

    /// The idempotency key was used for another request.
    pub(crate) fn key_reused(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "idempotency_error", message)
    }

    /// The first request with this idempotency key is still running.
    pub(crate) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key (that probably means you \
             submitted twice, and the other request is still going through): {key}. Please try again later."
        );
        Self::new(StatusCode::CONFLICT, "idempotency_error", message).code("idempotency_key_in_use")
    }

    /// The intent is not in a state that allows the call.
    pub(crate) fn unexpected_state(intent: &Intent, message: impl Into<String>) -> Self {
        let mut error = Self::invalid(message).code("payment_intent_unexpected_state");
        error.executed = true;
        error.detail.intent = Some(intent.clone());
        error
    }

    /// The bank said no.
    pub(crate) fn declined(intent: &Intent, decline: &Decline, charge: &str) -> Self {
        let (status, message) = (StatusCode::PAYMENT_REQUIRED, decline.message.clone());
        let mut error = Self::new(status, "card_error", message).code(decline.code.clone());
        error.executed = true;
        error.detail.decline_code.clone_from(&decline.reason);
        error.detail.charge = Some(charge.to_owned());
        error.detail.intent = Some(intent.clone());
        error
    }

    /// Our own fault; the outcome is not known.
    pub(crate) fn internal() -> Self {
        let message = "An unknown error occurred.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", message)
    }

    pub(crate) fn code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.detail.code = Some(code.into());
        self
    }

    pub(crate) fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.detail.param = Some(param.into());
        self
    }

    /// The body for one who may see as much as `audience`.
    pub(crate) fn body(&self, audience: Audience) -> String {
        view::json(&Envelope {
            error: Body {
                detail: &self.detail,
                audience,
            },
        })
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

struct Body<'a> {
    detail: &'a Detail,
    audience: Audience,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let error = self.detail;
        let mut map = serializer.serialize_map(None)?;
        if let Some(charge) = &error.charge {
            map.serialize_entry("charge", charge)?;
        }
        if let Some(code) = &error.code {
            map.serialize_entry("code", code)?;
            map.serialize_entry("doc_url", &doc_url(code))?;
        }
        if let Some(decline_code) = &error.decline_code {
            map.serialize_entry("decline_code", decline_code)?;
        }
        map.serialize_entry("message", &error.message)?;
        if let Some(param) = &error.param {
            map.serialize_entry("param", param)?;
        }
        if let Some(intent) = &error.intent {
            let view = IntentView {
                intent,
                audience: self.audience,
                charge: None,
            };
            map.serialize_entry("payment_intent", &view)?;
        }
        map.serialize_entry("type", error.kind)?;
        map.end()
    }
}

/// The same refusal as an intent's `last_payment_error`.
pub(crate) struct LastErrorView<'a>(pub(crate) &'a LastError);

impl Serialize for LastErrorView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let LastError {
            decline,
            charge,
            payment_method,
        } = self.0;
        let mut map = serializer.serialize_map(None)?;
        if let Some(charge) = charge {
            map.serialize_entry("charge", charge)?;
        }
        map.serialize_entry("code", &decline.code)?;
        if let Some(reason) = &decline.reason {
            map.serialize_entry("decline_code", reason)?;
        }
        map.serialize_entry("doc_url", &doc_url(&decline.code))?;
        map.serialize_entry("message", &decline.message)?;
        map.serialize_entry("payment_method", &view::MethodView(payment_method))?;
        map.serialize_entry("type", "card_error")?;
        map.end()
    }
}

fn doc_url(code: &str) -> String {
    format!(
        "https://stripe.com/docs/error-codes/{}",
        code.replace('_', "-")
    )
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Reply::from(self).into_response()
    }
}
