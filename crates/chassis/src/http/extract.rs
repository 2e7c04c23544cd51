//! Extractors whose every refusal is a [`Problem`].

use axum::{
    extract::{FromRequest, FromRequestParts, Request, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde::{Serialize, de::DeserializeOwned};

use super::Problem;

/// A JSON body, and a JSON reply.
///
/// Refuses other content types (415), what is not JSON (400 `malformed_json`), JSON of another shape (422
/// `invalid_body`) and bodies above the limit (413).
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

/// Parameters of the path; what does not parse does not exist (404).
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

/// Parameters of the query; what does not parse is 400 `invalid_query`.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

/// A form body (`application/x-www-form-urlencoded`), refused as [`Json`] is.
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect_type(request.headers(), |kind| {
            kind == "application/json"
                || (kind.starts_with("application/") && kind.ends_with("+json"))
        })?;
        let bytes = body(request, state).await?;
        from_json(&bytes).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    #[expect(
        clippy::disallowed_types,
        reason = "this is the extractor that wraps axum's"
    )]
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect_type(request.headers(), |kind| {
            kind == "application/x-www-form-urlencoded"
        })?;
        match axum::extract::Form::<T>::from_request(request, state).await {
            Ok(axum::extract::Form(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(too_large())
            }
            Err(rejection) => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_body",
                rejection.body_text(),
            )),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    #[expect(
        clippy::disallowed_types,
        reason = "this is the extractor that wraps axum's"
    )]
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| Problem::not_found())
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    #[expect(
        clippy::disallowed_types,
        reason = "this is the extractor that wraps axum's"
    )]
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let refuse = |error: axum::extract::rejection::QueryRejection| {
            Problem::new(StatusCode::BAD_REQUEST, "invalid_query", error.body_text())
        };
        found
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(refuse)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => (
                [(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                )],
                bytes,
            )
                .into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

/// Parses JSON, telling what is not JSON (400) from what is of another shape (422).
pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() {
            return Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_body",
                error.to_string(),
            );
        }
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string())
    })
}

fn expect_type(headers: &HeaderMap, accepts: impl Fn(&str) -> bool) -> Result<(), Problem> {
    let sent = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = sent
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if accepts(&kind) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "this content type is not accepted here",
    ))
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(error)
                if error.status() == StatusCode::PAYLOAD_TOO_LARGE =>
            {
                too_large()
            }
            _ => Problem::new(
                StatusCode::BAD_REQUEST,
                "unreadable_body",
                "the body could not be read to its end",
            ),
        })
}

/// 413 `body_too_large`.
pub(crate) fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "the body is larger than this route accepts",
    )
}
