//! RFC 9457 problem details: the one shape of every error reply.

use std::{borrow::Cow, fmt};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::telemetry;

/// An error reply: a status, a stable code for programs and a sentence for people.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<u32>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
    members: serde_json::Map<String, serde_json::Value>,
}

/// What is wrong with one field of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field, such as `amount.currency`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// The body of an error reply (RFC 9457, `application/problem+json`).
#[derive(Serialize, ToSchema)]
pub struct ProblemBody<'a> {
    /// Always `about:blank`: the code says which problem it is.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// The name of the status.
    #[schema(value_type = String)]
    pub title: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// Stable name of the problem, for programs.
    #[schema(value_type = String)]
    pub code: &'a str,
    /// What happened, for people.
    #[schema(value_type = String)]
    pub detail: &'a str,
    /// The trace to ask the operators about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The fields at fault, where there are any.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    pub errors: &'a [FieldError],
    /// What else a program needs to go on, by the code (RFC 9457, 3.2).
    #[serde(flatten)]
    #[schema(ignore)]
    pub members: &'a serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// A problem with a stable `code` and a sentence for people.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
            members: serde_json::Map::new(),
        }))
    }

    /// 503: something that the service needs is away; the same request may succeed in a second.
    pub fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the service cannot reach its data just now, try again",
        )
        .retry_after(1)
    }

    /// 500: logs the cause, once, and hides it from the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(error = %cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong on our side; the trace id tells us what",
        )
    }

    /// 503 where the database is away (see [`crate::db::is_unavailable`]), else 500.
    pub fn database(error: &sqlx::Error) -> Self {
        if crate::db::is_unavailable(error) {
            tracing::warn!(%error, "the database is unavailable");
            return Self::unavailable();
        }
        Self::internal(error)
    }

    /// 404 for whatever does not exist, or does not exist for this caller.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
    }

    /// Says after how many seconds a retry makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Names the fields at fault.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds an extension member to the body, for programs that know the code.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header to the reply.
    #[must_use]
    pub fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::database(&error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Parts {
            status,
            code,
            detail,
            errors,
            retry_after,
            headers,
            members,
        } = *self.0;
        let body = ProblemBody {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code: &code,
            detail: &detail,
            trace_id: telemetry::trace_id(),
            errors: &errors,
            members: &members,
        };
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, bytes).into_response();
        let reply = response.headers_mut();
        reply.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        reply.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            reply.insert(header::RETRY_AFTER, seconds.into());
        }
        reply.extend(headers);
        response
    }
}
