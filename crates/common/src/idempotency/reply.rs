//! A reply whose bytes are fixed before the commit, so that it can be replayed byte for byte.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::Claim;

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

    /// The form that Redis keeps: fingerprint, status, length of the headers, headers, body.
    pub(super) fn encode(&self, claim: &Claim) -> Vec<u8> {
        let headers = self.headers_json();
        let mut bytes = Vec::with_capacity(38 + headers.len() + self.body.len());
        bytes.extend_from_slice(&claim.fingerprint());
        bytes.extend_from_slice(&self.status.as_u16().to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(headers.len()).unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(headers.as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
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
        } else if self.status.is_success() {
            response.extensions_mut().insert(Arc::new(self));
        }
        response
    }
}
