//! What one of our services shows to another: a secret that only they know.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use chassis::http::Problem;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Checks the secret of our services.
#[derive(Clone)]
pub struct ServiceKey {
    /// Keyed with the secret and fed the secret: whoever sends the same makes the same tag.
    keyed: Arc<Hmac<Sha256>>,
    expected: [u8; 32],
}

/// One of our services calls; anyone else gets 401 `unauthenticated`.
#[derive(Clone, Copy, Debug)]
pub struct Service;

impl ServiceKey {
    /// Makes the check of a secret, which is at least 32 bytes long.
    pub fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        let keyed = Hmac::<Sha256>::new_from_slice(secret)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        let mut tag = keyed.clone();
        tag.update(secret);
        Self {
            keyed: Arc::new(keyed),
            expected: tag.finalize().into_bytes().into(),
        }
    }

    /// Whether the headers carry the secret as `Authorization: Bearer`, in a time that tells nothing about it.
    pub fn is_shown(&self, headers: &HeaderMap) -> bool {
        let sent = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, sent)) = sent else {
            return false;
        };
        let mut tag = (*self.keyed).clone();
        tag.update(sent.trim().as_bytes());
        tag.verify_slice(&self.expected).is_ok()
    }
}

impl<S> FromRequestParts<S> for Service
where
    S: Send + Sync,
    ServiceKey: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if ServiceKey::from_ref(state).is_shown(&parts.headers) {
            return Ok(Self);
        }
        let problem = Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "this is for other services of the platform",
        );
        Err(problem.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
    }
}
