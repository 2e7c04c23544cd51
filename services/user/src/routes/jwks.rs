//! `GET /.well-known/jwks.json`

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Problems};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;

/// The public keys that access tokens are verified by (RFC 7517).
#[derive(Clone, Serialize, ToSchema)]
pub struct KeySet {
    #[schema(value_type = Vec<Key>)]
    keys: Arc<[Key]>,
}

/// One Ed25519 key (RFC 8037).
#[derive(Serialize, ToSchema)]
pub struct Key {
    #[schema(example = "OKP")]
    kty: &'static str,
    #[schema(example = "Ed25519")]
    crv: &'static str,
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    usage: &'static str,
    #[schema(example = "EdDSA")]
    alg: &'static str,
    /// The id that a token's header names.
    #[schema(example = "main")]
    kid: String,
    /// The key, base64url.
    x: String,
}

impl KeySet {
    /// Takes the keys as they are configured: a JSON object from key id to raw key in base64url.
    ///
    /// # Errors
    /// Where that is not what it is.
    pub fn parse(configured: &str) -> Result<Self, serde_json::Error> {
        let named: BTreeMap<String, String> = serde_json::from_str(configured)?;
        let key = |(kid, x)| Key {
            kty: "OKP",
            crv: "Ed25519",
            usage: "sig",
            alg: "EdDSA",
            kid,
            x,
        };
        Ok(Self {
            keys: named.into_iter().map(key).collect(),
        })
    }
}

/// The keys that verify access tokens, for clients that want to.
///
/// Our own services take the keys from their configuration, never from here.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "auth", operation_id = "jwks", security(()),
    responses((status = 200, description = "a JSON Web Key Set", body = KeySet), Problems),
)]
pub async fn jwks(State(app): State<App>) -> impl IntoResponse {
    (
        [(header::CACHE_CONTROL, "public, max-age=300")],
        Json(app.keys),
    )
}
