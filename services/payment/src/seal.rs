//! Encryption of what holds client secrets or personal data, before it is stored.
//!
//! XChaCha20-Poly1305 with a random nonce of 24 bytes, so that any number of bodies can be sealed under one key. The
//! key is derived from the service's secret under a label of its own. What the bytes belong to is bound in as
//! associated data: a sealed body moved to another row does not open.

use bytes::Bytes;
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use common::idempotency::{Claim, Reply};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The first byte of everything sealed, so that a later scheme can tell its own from this one's.
const SCHEME: u8 = 1;
const NONCE: usize = 24;
const LABEL: &[u8] = b"careforall payment sealed bytes v1";

/// Seals and opens bytes.
#[derive(Clone)]
pub struct Sealer(XChaCha20Poly1305);

/// The bytes were sealed under another key, for another row, or were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes do not open")]
pub struct Unopened;

impl Sealer {
    /// Derives the key from the service's secret.
    pub fn new(secret: &SecretString) -> Self {
        let mut derive = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        derive.update(LABEL);
        let key: [u8; 32] = derive.finalize().into_bytes().into();
        Self(XChaCha20Poly1305::new(&key.into()))
    }

    /// Seals `clear`, bound to `owner`.
    pub fn seal(&self, owner: &[u8], clear: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload {
            msg: clear,
            aad: owner,
        };
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), payload)
            .unwrap_or_else(|_| unreachable!("only messages beyond 256 GiB cannot be sealed"));
        [&[SCHEME], nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`Sealer::seal`] made for the same owner.
    ///
    /// # Errors
    /// [`Unopened`].
    pub fn open(&self, owner: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (scheme, rest) = sealed.split_first().ok_or(Unopened)?;
        let (nonce, message) = rest.split_first_chunk::<NONCE>().ok_or(Unopened)?;
        if *scheme != SCHEME {
            return Err(Unopened);
        }
        let payload = Payload {
            msg: message,
            aad: owner,
        };
        self.0
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| Unopened)
    }

    /// The form in which a reply with a client secret is stored, in PostgreSQL and in Redis.
    pub fn seal_reply(&self, claim: &Claim, reply: &Reply) -> Reply {
        let body = self.seal(&claim.scope(), &reply.body);
        Reply::new(reply.status, reply.headers.clone(), body.into())
    }

    /// The reply that was stored, marked as a replay.
    ///
    /// # Errors
    /// [`Unopened`], after the secret was changed.
    pub fn open_reply(&self, claim: &Claim, stored: &Reply) -> Result<Reply, Unopened> {
        let body = Bytes::from(self.open(&claim.scope(), &stored.body)?);
        Ok(Reply::new(stored.status, stored.headers.clone(), body).replayed())
    }
}
