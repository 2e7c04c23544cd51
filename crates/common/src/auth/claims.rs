//! Access tokens: Ed25519-signed JWTs (RFC 7519, RFC 8037) that live for 15 minutes.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::clock::Clock;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use crate::events::Role;
use crate::ids::UserId;

/// Issuer and audience of every access token.
const PLATFORM: &str = "careforall";
/// How long an access token lives, in seconds.
const LIFETIME: i64 = 15 * 60;
/// How many verified tokens a process remembers.
const REMEMBERED: u64 = 10_000;

/// The account behind a verified access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub user_id: UserId,
    /// What it may do.
    pub role: Role,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    role: Role,
    iat: i64,
    exp: i64,
    jti: Uuid,
    typ: String,
}

/// Why an access token was refused. The reply to the client does not tell which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Signature, algorithm, key, issuer, audience or type are not ours.
    #[error("the access token is not valid")]
    Invalid,
    /// It was ours, and its time is over.
    #[error("the access token has expired")]
    Expired,
}

/// Verifies access tokens by the configured public keys. Verified tokens are remembered by their SHA-256, and
/// their end is checked again each time.
#[derive(Clone)]
pub struct Verifier {
    keys: Arc<HashMap<String, DecodingKey>>,
    known: moka::sync::Cache<[u8; 32], (Identity, i64)>,
    clock: Clock,
}

impl Verifier {
    /// Takes the public keys as a JSON object from key id to raw Ed25519 public key, base64url without padding.
    ///
    /// # Errors
    /// Where the JSON or one of the keys does not parse.
    pub fn new(keys: &str, clock: Clock) -> Result<Self, &'static str> {
        let named: HashMap<String, String> = serde_json::from_str(keys)
            .map_err(|_| "JWT_PUBLIC_KEYS is not a JSON object of strings")?;
        let mut parsed = HashMap::with_capacity(named.len());
        for (kid, key) in named {
            let raw = URL_SAFE_NO_PAD
                .decode(&key)
                .map_err(|_| "a key in JWT_PUBLIC_KEYS is not base64url")?;
            if raw.len() != 32 {
                return Err("a key in JWT_PUBLIC_KEYS is not 32 bytes long");
            }
            let key = DecodingKey::from_ed_components(&key)
                .map_err(|_| "a key in JWT_PUBLIC_KEYS is not an Ed25519 key")?;
            parsed.insert(kid, key);
        }
        Ok(Self {
            keys: Arc::new(parsed),
            known: moka::sync::Cache::new(REMEMBERED),
            clock,
        })
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`TokenError`], for a token that is not ours or has expired.
    pub fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let (identity, exp) = if let Some(known) = self.known.get(&digest) {
            known
        } else {
            let verified = self.check(token)?;
            self.known.insert(digest, verified);
            verified
        };
        if exp <= self.clock.now().timestamp() {
            Err(TokenError::Expired)
        } else {
            Ok(identity)
        }
    }

    fn check(&self, token: &str) -> Result<(Identity, i64), TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        // The key id only picks from our own table, and a key of ours verifies by its own algorithm alone: what the
        // header says about `alg` can be wrong, but it cannot choose.
        let key = header
            .kid
            .and_then(|kid| self.keys.get(&kid))
            .ok_or(TokenError::Invalid)?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_audience(&[PLATFORM]);
        rules.set_issuer(&[PLATFORM]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.validate_exp = false; // By our clock, in `verify`.
        let claims = jsonwebtoken::decode::<Claims>(token, key, &rules)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if claims.typ != "access" {
            return Err(TokenError::Invalid);
        }
        Ok((
            Identity {
                user_id: UserId::from(claims.sub),
                role: claims.role,
            },
            claims.exp,
        ))
    }
}

/// Issues access tokens; only the user service has the private key.
#[derive(Clone)]
pub struct Issuer {
    kid: String,
    key: EncodingKey,
}

impl Issuer {
    /// Takes the private key as PKCS#8 PEM, and the id under which its public half is published.
    ///
    /// # Errors
    /// Where the PEM is not an Ed25519 key.
    pub fn new(kid: &str, pem: &SecretString) -> Result<Self, &'static str> {
        let key = EncodingKey::from_ed_pem(pem.expose_secret().as_bytes())
            .map_err(|_| "JWT_PRIVATE_KEY is not an Ed25519 key in PKCS#8 PEM")?;
        Ok(Self {
            kid: kid.to_owned(),
            key,
        })
    }

    /// How long a token lives, in seconds.
    pub const fn lifetime() -> i64 {
        LIFETIME
    }

    /// Issues a token for 15 minutes from `now`.
    ///
    /// # Errors
    /// Where signing fails, which a valid key never does.
    pub fn access(
        &self,
        user_id: UserId,
        role: Role,
        now: DateTime<Utc>,
    ) -> Result<String, &'static str> {
        let iat = now.timestamp();
        let claims = Claims {
            iss: PLATFORM.into(),
            aud: PLATFORM.into(),
            sub: user_id.get(),
            role,
            iat,
            exp: iat + LIFETIME,
            jti: Uuid::now_v7(),
            typ: "access".into(),
        };
        let header = Header {
            kid: Some(self.kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|_| "an access token could not be signed")
    }
}
