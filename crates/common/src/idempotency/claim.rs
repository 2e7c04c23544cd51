//! Which effect a request lays claim to: the hash of who, what and key, and the hash of the body.

use axum::extract::FromRequestParts;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::http::Problem;
use http::{HeaderMap, Method, StatusCode, request::Parts};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::auth::Caller;

/// The header's name, and the older one that is accepted as well.
const HEADERS: [&str; 2] = ["idempotency-key", "x-idempotency-key"];
/// How short and how long a key may be, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=255;

/// A request's claim to be the first with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    scope: [u8; 32],
    fingerprint: [u8; 32],
}

impl Claim {
    /// Makes the claim of a request. `body` may be empty, otherwise it must be JSON: the fingerprint is that of its
    /// canonical form, so that white space and the order of members make no difference.
    ///
    /// # Errors
    /// 400 `malformed_json`.
    pub fn new(
        caller: &Caller,
        method: &Method,
        route: &str,
        key: &str,
        body: &[u8],
    ) -> Result<Self, Problem> {
        let mut scope = Sha256::new();
        let owner = caller.identity().map_or_else(
            || "anon".to_owned(),
            |identity| identity.user_id.to_string(),
        );
        for part in [owner.as_str(), method.as_str(), route, key] {
            // Each part is preceded by its length: no two lists of parts run together to the same bytes.
            scope.update((part.len() as u64).to_be_bytes());
            scope.update(part.as_bytes());
        }
        if !chassis::guard!("idempotency") {
            scope.update(Uuid::new_v4());
        }
        let mut fingerprint = Sha256::new();
        if !body.is_empty() {
            let value: Value = serde_json::from_slice(body).map_err(|error| {
                Problem::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string())
            })?;
            hash(&value, &mut fingerprint);
        }
        Ok(Self {
            scope: scope.finalize().into(),
            fingerprint: fingerprint.finalize().into(),
        })
    }

    /// SHA-256 of caller, method, route and key: the primary key of the stored reply.
    pub fn scope(&self) -> [u8; 32] {
        self.scope
    }

    /// SHA-256 of the canonical body.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Both hashes as text, for an event that tells of the effect.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.scope, self.fingerprint].concat())
    }

    /// Reads what [`to_text`](Self::to_text) wrote; none where it is something else.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (scope, fingerprint) = bytes.split_at_checked(32)?;
        Some(Self {
            scope: scope.try_into().ok()?,
            fingerprint: fingerprint.try_into().ok()?,
        })
    }

    pub(super) fn cache_key(&self) -> String {
        format!("idem:{}", hex::encode(self.scope))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Claim {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::internal("the route has no idempotency layer"))
    }
}

/// Reads the key. Both the bare form and the quoted one of a structured field are accepted. A guest's key must be a
/// UUID: its entropy is all that protects it from other guests.
pub(super) fn key_of(headers: &HeaderMap, caller: &Caller) -> Result<String, Problem> {
    let refuse =
        |code: &'static str, detail: &str| Problem::new(StatusCode::BAD_REQUEST, code, detail);
    let sent = HEADERS.iter().find_map(|name| headers.get(*name));
    let sent = sent.ok_or_else(|| {
        refuse(
            "idempotency_key_missing",
            "this needs an Idempotency-Key header",
        )
    })?;
    let invalid = |detail: &str| refuse("idempotency_key_invalid", detail);
    let text = sent
        .to_str()
        .map_err(|_| invalid("the key must be printable ASCII"))?;
    let key = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    if !LENGTH.contains(&key.len()) {
        return Err(invalid("the key must have 8 to 255 characters"));
    }
    if *caller == Caller::Guest && Uuid::try_parse(key).is_err() {
        return Err(invalid("without an access token the key must be a UUID"));
    }
    Ok(key.to_owned())
}

/// Feeds a value to the hash in one canonical order: objects by member name.
fn hash(value: &Value, into: &mut Sha256) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            into.update(b"{");
            for (name, member) in sorted {
                into.update((name.len() as u64).to_be_bytes());
                into.update(name.as_bytes());
                hash(member, into);
            }
            into.update(b"}");
        }
        Value::Array(items) => {
            into.update(b"[");
            for item in items {
                hash(item, into);
            }
            into.update(b"]");
        }
        Value::String(text) => {
            into.update(b"s");
            into.update((text.len() as u64).to_be_bytes());
            into.update(text.as_bytes());
        }
        plain => {
            into.update(plain.to_string().as_bytes());
            into.update(b";");
        }
    }
}
