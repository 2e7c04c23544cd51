//! Stripe's webhook signature: HMAC-SHA-256 over the time, a dot and the raw body. Pure.
//!
//! The header is `t=<unix seconds>,v1=<hex>[,v1=<hex>..]`. During a rotation the provider sends one `v1` for each
//! secret, and we may know several secrets: any pair that matches will do. Nothing is parsed as JSON before this.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// How far the signed time may be from ours, in seconds, on both sides.
const TOLERANCE: u64 = 300;
/// How many signatures of one header are tried.
const SIGNATURES: usize = 5;

/// Why a delivery is not believed. The reply does not tell which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// The header does not have Stripe's form.
    #[error("the signature header is malformed")]
    Malformed,
    /// It was signed too long ago, or too far in the future.
    #[error("the signature's time is out of tolerance")]
    Untimely,
    /// None of the signatures is by one of our secrets over these bytes.
    #[error("no signature matches")]
    Forged,
}

impl BadSignature {
    /// The label under which it is counted.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Untimely => "untimely",
            Self::Forged => "forged",
        }
    }
}

/// Verifies `body` against the header, in constant time for each pair of secret and signature.
///
/// # Errors
/// [`BadSignature`]; `now` is in unix seconds.
pub fn verify(
    header: &str,
    body: &[u8],
    secrets: &[SecretString],
    now: i64,
) -> Result<(), BadSignature> {
    let signed = Signed::parse(header).ok_or(BadSignature::Malformed)?;
    // The forged and the old must not be told apart by a clock, so the signature is computed in any case.
    let ours = secrets.iter().any(|secret| signed.is_by(secret, body));
    if signed.at.abs_diff(now) > TOLERANCE {
        return Err(BadSignature::Untimely);
    }
    if ours {
        Ok(())
    } else {
        Err(BadSignature::Forged)
    }
}

struct Signed<'a> {
    /// The time as it was signed, which is text.
    time: &'a str,
    at: i64,
    signatures: Vec<[u8; 32]>,
}

impl<'a> Signed<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let mut time = None;
        let mut signatures = Vec::new();
        for part in header.split(',') {
            match part.trim().split_once('=')? {
                ("t", value) if time.is_none() => time = Some(value),
                ("t", _) => return None,
                ("v1", value) if signatures.len() < SIGNATURES => {
                    let mut tag = [0; 32];
                    hex::decode_to_slice(value, &mut tag).ok()?;
                    signatures.push(tag);
                }
                // Older and later schemes stand beside it, and prove nothing to us.
                _ => {}
            }
        }
        let time = time?;
        let at = time.parse().ok()?;
        (!signatures.is_empty()).then_some(Self {
            time,
            at,
            signatures,
        })
    }

    fn is_by(&self, secret: &SecretString, body: &[u8]) -> bool {
        let keyed = mac(secret, self.time, body);
        self.signatures
            .iter()
            .any(|tag| keyed.clone().verify_slice(tag).is_ok())
    }
}

fn mac(secret: &SecretString, time: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut keyed = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    keyed.update(time.as_bytes());
    keyed.update(b".");
    keyed.update(body);
    keyed
}
