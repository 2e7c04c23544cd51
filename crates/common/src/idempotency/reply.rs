//! A reply whose bytes are fixed before the commit, so that it can be replayed byte for byte.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// Status, headers and body of a finished request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status, always 2xx.
    pub status: StatusCode,
    /// Headers that belong to the stored reply, such as the content type.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    replayed: bool,
}

impl Reply {
    /// A reply of given parts.
    pub fn new(status: StatusCode, headers: Vec<(String, String)>, body: Bytes) -> Self {
        Self {
            status,
            headers,
            body,
            replayed: false,
        }
    }

    /// A JSON reply. Our reply types are plain data, which serialises always; one that does not would be sent empty.
    pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self::new(
            status,
            vec![("content-type".into(), "application/json".into())],
            body.into(),
        )
    }

    /// A reply without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self::new(status, Vec::new(), Bytes::new())
    }

    /// Marks it as the repetition of an earlier reply: it is sent with `Idempotent-Replayed: true`.
    #[must_use]
    pub fn replayed(mut self) -> Self {
        self.replayed = true;
        self
    }

    /// Whether it repeats an earlier reply.
    pub fn is_replay(&self) -> bool {
        self.replayed
    }

    /// Headers as they are stored.
    pub fn headers_json(&self) -> String {
        serde_json::to_string(&self.headers).unwrap_or_else(|_| "[]".into())
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body.clone()).into_response();
        let headers = response.headers_mut();
        headers.remove(http::header::CONTENT_TYPE);
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                headers.insert(name, value);
            }
        }
        // It holds tokens and personal data.
        headers.insert(
            http::header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        );
        if self.replayed {
            headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        response
    }
}
