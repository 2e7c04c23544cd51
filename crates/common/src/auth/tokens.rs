//! Capability tokens that need no storage: the ticket to pay for a pledge, a guest's key to it, and a donor's word that
//! something unusual is meant.
//!
//! All are HMAC-SHA-256 (RFC 2104) under one secret with separate labels, so that none can pass for another.
//! They carry ids and amounts, never an e-mail address or a name.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::sync::Arc;
use uuid::Uuid;

use crate::{
    events::Capture,
    ids::{CampaignId, ContactId, PledgeId, UserId},
    money::{Extras, Money},
};

type HmacSha256 = Hmac<Sha256>;

/// Everything that payment needs to know in order to open the payment of a pledge before the event has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The pledge to pay for.
    pub pledge_id: PledgeId,
    /// The campaign that it is for.
    pub campaign_id: CampaignId,
    /// Whom to thank.
    pub contact_id: ContactId,
    /// The donor's account, unless a guest gives.
    pub donor_id: Option<UserId>,
    /// Who gives, as a pseudonym (see [`donor_ref`]).
    pub donor_ref: String,
    /// The whole charge: the gift and what is added to it.
    pub amount: Money,
    /// How much of it is not the gift.
    pub extras: Extras,
    /// When the provider is to take the money.
    pub capture: Capture,
    /// When the pledge expires.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub pledge_expires_at: DateTime<Utc>,
    /// When the ticket expires.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub expires_at: DateTime<Utc>,
    /// W3C trace context of the pledge's request: a payment that is made from the ticket, because the pledge's event
    /// is still on its way, belongs to the same trace.
    pub traceparent: Option<String>,
}

/// Why a ticket was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It is not ours, or was changed.
    #[error("the ticket is not valid")]
    Invalid,
    /// It was ours, and its time is over.
    #[error("the ticket has expired")]
    Expired,
}

/// Makes and checks tickets and guest tokens; pledge and payment share its secret.
#[derive(Clone)]
pub struct Signer {
    tickets: Arc<HmacSha256>,
    guests: Arc<HmacSha256>,
    confirmations: Arc<HmacSha256>,
}

/// How much of a tag the short tokens carry, in bytes: half, the least that RFC 2104 advises.
const SHORT_TAG: usize = 16;

impl Signer {
    /// Takes the shared secret.
    pub fn new(secret: &SecretString) -> Self {
        let keyed = |label: &str| {
            // A key of its own for each purpose, derived from the one secret.
            let mut derive = mac(secret.expose_secret().as_bytes());
            derive.update(label.as_bytes());
            Arc::new(mac(&derive.finalize().into_bytes()))
        };
        Self {
            tickets: keyed("careforall ticket v3"),
            guests: keyed("careforall guest token v2"),
            confirmations: keyed("careforall confirmation v1"),
        }
    }

    /// Signs a ticket: base64url of its fields in Postcard's binary format, a dot, base64url HMAC. The reply to a pledge
    /// carries it twice and is stored as it is, so its length counts.
    pub fn ticket(&self, ticket: &Ticket) -> String {
        let payload = URL_SAFE_NO_PAD.encode(postcard::to_allocvec(ticket).unwrap_or_default());
        let tag = tag(&self.tickets, payload.as_bytes());
        format!("{payload}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Opens a ticket.
    ///
    /// # Errors
    /// [`TicketError`], for a ticket that is not ours or has expired.
    pub fn open(&self, ticket: &str, now: DateTime<Utc>) -> Result<Ticket, TicketError> {
        let (payload, sent) = ticket.split_once('.').ok_or(TicketError::Invalid)?;
        verify(&self.tickets, payload.as_bytes(), sent).ok_or(TicketError::Invalid)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(payload)
            .map_err(|_| TicketError::Invalid)?;
        let ticket: Ticket = postcard::from_bytes(&bytes).map_err(|_| TicketError::Invalid)?;
        if ticket.expires_at <= now {
            Err(TicketError::Expired)
        } else {
            Ok(ticket)
        }
    }

    /// The guest token of a pledge; the same each time, so that a replayed reply carries it again. It holds the pledge's
    /// id, so that whoever sends it needs to say nothing else.
    pub fn guest_token(&self, pledge: PledgeId) -> String {
        let id = pledge.get();
        let tag = tag(&self.guests, id.as_bytes());
        URL_SAFE_NO_PAD.encode([id.as_bytes(), &tag[..SHORT_TAG]].concat())
    }

    /// The pledge that `token` is the guest token of.
    pub fn guest_of(&self, token: &str) -> Option<PledgeId> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, sent) = bytes.split_first_chunk::<16>()?;
        verify_short(&self.guests, id, sent)?;
        Some(Uuid::from_bytes(*id).into())
    }

    /// Whether `token` is the guest token of `pledge`, in constant time.
    pub fn is_guest_of(&self, token: &str, pledge: PledgeId) -> bool {
        self.guest_of(token) == Some(pledge)
    }

    /// A token that gives `what` back to us as confirmed, until `expires_at`.
    pub fn confirmation(&self, what: &[u8], expires_at: DateTime<Utc>) -> String {
        let until = expires_at.timestamp_micros().to_be_bytes();
        let tag = tag(&self.confirmations, &[&until, what].concat());
        URL_SAFE_NO_PAD.encode([until.as_slice(), &tag[..SHORT_TAG]].concat())
    }

    /// Whether `token` confirms `what` at `now`.
    pub fn is_confirmed(&self, token: &str, what: &[u8], now: DateTime<Utc>) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        let Some((until, sent)) = bytes.split_first_chunk::<8>() else {
            return false;
        };
        let genuine = verify_short(&self.confirmations, &[until, what].concat(), sent).is_some();
        genuine && now.timestamp_micros() < i64::from_be_bytes(*until)
    }
}

/// A donor's pseudonym: HMAC-SHA-256 of the trimmed, lower-cased e-mail address, in hex. Equal addresses have equal
/// pseudonyms, and without the secret nobody gets from one to the other.
pub fn donor_ref(secret: &SecretString, email: &str) -> String {
    let mut keyed = mac(secret.expose_secret().as_bytes());
    keyed.update(email.trim().to_lowercase().as_bytes());
    hex::encode(keyed.finalize().into_bytes())
}

fn mac(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

fn tag(keyed: &HmacSha256, message: &[u8]) -> [u8; 32] {
    let mut keyed = keyed.clone();
    keyed.update(message);
    keyed.finalize().into_bytes().into()
}

fn verify(keyed: &HmacSha256, message: &[u8], sent: &str) -> Option<()> {
    let sent = URL_SAFE_NO_PAD.decode(sent).ok()?;
    let mut keyed = keyed.clone();
    keyed.update(message);
    keyed.verify_slice(&sent).ok()
}

fn verify_short(keyed: &HmacSha256, message: &[u8], sent: &[u8]) -> Option<()> {
    if sent.len() != SHORT_TAG {
        return None;
    }
    let mut keyed = keyed.clone();
    keyed.update(message);
    keyed.verify_truncated_left(sent).ok()
}
