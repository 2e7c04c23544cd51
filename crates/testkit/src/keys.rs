//! A key pair for access tokens, the same in every test of a process.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::clock::Clock;
use common::{
    auth::{Issuer, Role, Verifier},
    ids::UserId,
};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey};
use secrecy::SecretString;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&rand::random()));
static OTHER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&rand::random()));

/// The value of `JWT_PUBLIC_KEYS`.
pub fn public_keys() -> String {
    let raw = URL_SAFE_NO_PAD.encode(KEY.verifying_key().to_bytes());
    format!(r#"{{"main":"{raw}"}}"#)
}

/// The value of `JWT_PRIVATE_KEY`.
pub fn private_key() -> SecretString {
    pem(&KEY)
}

/// The private key as PKCS#8 PEM.
fn pem(key: &SigningKey) -> SecretString {
    let pem = key
        .to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF)
        .expect("a key can be written as PEM");
    pem.to_string().into()
}

/// An issuer whose tokens verify.
pub fn issuer() -> Issuer {
    Issuer::new("main", &pem(&KEY)).expect("the key is valid")
}

/// An issuer that claims our key id and has another key.
pub fn other_issuer() -> Issuer {
    Issuer::new("main", &pem(&OTHER)).expect("the key is valid")
}

/// A verifier of [`issuer`]'s tokens, by the machine's clock.
pub fn verifier() -> Verifier {
    Verifier::new(&public_keys(), Clock::system()).expect("the keys are valid")
}

/// An access token that is valid now.
pub fn user_token(user: UserId, role: Role) -> String {
    issuer()
        .access(user, role, Clock::system().now())
        .expect("the token can be signed")
}

/// A secret that services show to each other.
pub fn service_secret() -> SecretString {
    "a secret of services in tests, longer than thirty-two bytes".into()
}

/// A secret for tickets and guest tokens.
pub fn token_secret() -> SecretString {
    "a secret of tests, longer than thirty-two bytes".into()
}
