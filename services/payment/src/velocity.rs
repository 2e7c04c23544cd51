//! Too many declined tries in an hour, from one donor, one network or with one card: no further payment is opened for
//! them, and what they have open is called off, so that nobody tries stolen cards here. Only banks' declines count, never
//! a failure of ours or the provider's.

use std::net::{IpAddr, Ipv6Addr};

use chassis::clock::Clock;
use chrono::{DateTime, Duration, Utc};
use common::{group_commit::Batch, ids::PaymentId};
use hmac::{Hmac, KeyInit as _, Mac};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use sqlx::PgConnection;

use crate::{
    app::App,
    db::{attempts, payments},
    error::Error,
};

/// How many declines are allowed within an hour.
const LIMIT: i64 = 5;
/// How far back declines count.
const WINDOW: Duration = Duration::hours(1);
/// The header in which the gateway tells the client's address.
const FORWARDED_FOR: &str = "x-forwarded-for";
const LABEL: &[u8] = b"careforall payment client v1";

/// Makes pseudonyms of the networks that payers ask from.
pub struct Clients(Hmac<Sha256>);

impl Clients {
    /// Derives the key from the service's secret.
    pub fn new(secret: &SecretString) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(LABEL);
        Self(mac)
    }

    /// The pseudonym of the network that a request came from, where the gateway tells it: an IPv4 address, or the /64
    /// network of an IPv6 address, since whoever has one such address has all of it. This machine itself, from which
    /// everybody's payments come where nothing stands before the gateway, is nobody.
    pub fn of(&self, headers: &HeaderMap) -> Option<String> {
        let told = headers.get(FORWARDED_FOR)?.to_str().ok()?;
        let address: IpAddr = told.rsplit(',').next()?.trim().parse().ok()?;
        let address = address.to_canonical();
        if address.is_loopback() {
            return None;
        }
        let network = match address {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        };
        let mut mac = self.0.clone();
        mac.update(network.to_string().as_bytes());
        Some(hex::encode(&mac.finalize().into_bytes()[..16]))
    }
}

/// A payer who asks to be let through.
pub struct Payer {
    donor_ref: String,
    client: Option<String>,
}

/// The reader of declines: payers who ask at once are answered by one statement.
pub struct Declines(Clock);

impl Declines {
    /// Counts by this clock.
    pub fn new(clock: Clock) -> Self {
        Self(clock)
    }
}

impl Batch for Declines {
    type Item = Payer;
    /// When the payer may come again, where the limit is reached.
    type Outcome = Option<DateTime<Utc>>;
    const TRANSACTION: bool = false;

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[Payer],
    ) -> Result<Vec<Option<DateTime<Utc>>>, sqlx::Error> {
        let payers: Vec<_> = items
            .iter()
            .map(|payer| (payer.donor_ref.as_str(), payer.client.as_deref()))
            .collect();
        let since = self.0.now() - WINDOW;
        let reached = attempts::limits_reached(connection, &payers, since, LIMIT).await?;
        Ok(reached
            .into_iter()
            .map(|at| at.map(|at| at + WINDOW))
            .collect())
    }
}

/// Calls off what the payers of these payments, which were declined just now, have open, where the limit is reached.
///
/// # Errors
/// When the database refuses; nothing of the transaction may stand then.
pub async fn stop(
    connection: &mut PgConnection,
    declined: &[PaymentId],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let since = now - WINDOW;
    let stopped = attempts::stopped(&mut *connection, declined, since, LIMIT).await?;
    payments::end_of(connection, &stopped, now).await
}

/// Lets a payer pass, or says when to come again.
///
/// # Errors
/// 429, 503 while charging is paused, or what the database says.
pub async fn admit(app: &App, donor_ref: &str, client: Option<&str>) -> Result<(), Error> {
    if app.switch.is_paused(app.db.pool()).await? {
        return Err(Error::ChargingPaused);
    }
    let payer = Payer {
        donor_ref: donor_ref.to_owned(),
        client: client.map(str::to_owned),
    };
    match app.declines.commit(payer).await? {
        None => Ok(()),
        Some(again) => {
            let wait = (again - app.clock.now())
                .num_seconds()
                .clamp(0, WINDOW.num_seconds());
            Err(Error::Velocity(u32::try_from(wait + 1).unwrap_or(1)))
        }
    }
}
