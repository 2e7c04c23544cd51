//! Webhooks that are ready to be sent: real charges of the provider's, whose events it holds back meanwhile. We send
//! them in its place, signed with its secret, as fast as we want; afterwards it sends them all itself, as copies.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

use super::backlog;
use super::client::Client;
use super::donations::join;
use super::wire;
use crate::fleet::{Secrets, state::State};
use crate::{interrupt, ui};

/// What each of these gifts is, in minor units.
pub(super) const AMOUNT: i64 = 900;
/// Donors at work while the charges are made.
const DONORS: usize = 128;
/// The longest that the provider may need for the copies.
const PATIENCE: Duration = Duration::from_mins(5);

/// The provider tells us nothing for as long as this lives.
pub(super) struct Silence<'a>(&'a State);

impl<'a> Silence<'a> {
    fn begin(fleet: &'a State) -> Result<Self> {
        until_told(fleet)?;
        Client::new(fleet).control("/_sim/webhooks/pause")?;
        Ok(Self(fleet))
    }

    /// Lets the provider speak again, and waits until it has said everything.
    pub(super) fn end(self) -> Result<()> {
        let fleet = self.0;
        drop(self);
        until_told(fleet)
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        if let Err(error) = Client::new(self.0).control("/_sim/webhooks/resume") {
            ui::warn(&format!("the provider stays silent: {error:#}"));
        }
    }
}

/// Has donors pay to these campaigns in turn, while nobody tells us, and gives the requests that tell.
pub(super) fn prepare<'a>(
    fleet: &'a State,
    run_dir: &Path,
    campaigns: &[String],
    count: usize,
) -> Result<(Vec<Vec<u8>>, Silence<'a>)> {
    let silence = Silence::begin(fleet)?;
    let client = Client::new(fleet);
    let paid = std::thread::scope(|scope| {
        let donors: Vec<_> = (0..DONORS)
            .map(|donor| scope.spawn(move || pay(fleet, campaigns, donor, count)))
            .collect();
        join(donors)
    })?;
    backlog::drain(fleet)?;
    let secrets = Secrets::load_or_create(&run_dir.join("secrets"))?;
    let events = events(&client, &secrets.psp_secret_key)?;
    if events.len() != paid.len() {
        bail!(
            "{} were charged, and {} events tell of it",
            paid.len(),
            events.len()
        );
    }
    let requests = events.iter().map(|one| signed(fleet, &one.to_string()));
    Ok((requests.collect(), silence))
}

fn until_told(fleet: &State) -> Result<()> {
    let client = Client::new(fleet);
    let told = interrupt::poll(PATIENCE, || {
        let idle = client.psp("/_sim/idle", None)?;
        Ok((idle["undelivered"] == 0).then_some(()))
    })?;
    told.context("the provider does not get rid of its events")
}

fn pay(fleet: &State, campaigns: &[String], donor: usize, count: usize) -> Result<Vec<()>> {
    let client = Client::new(fleet);
    (donor..count)
        .step_by(DONORS)
        .map(|n| {
            interrupt::check()?;
            let paid = client.donate(&campaigns[n % campaigns.len()], AMOUNT)?;
            paid.map(drop).context("a donation was refused")
        })
        .collect()
}

/// The events of the charges, page by page.
fn events(client: &Client, key: &str) -> Result<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    let list = "/v1/events?type=payment_intent.succeeded&delivery_success=false&limit=100";
    loop {
        let after = all.last().and_then(|event| event["id"].as_str());
        let after = after
            .map(|id| format!("&starting_after={id}"))
            .unwrap_or_default();
        let mut page = client.psp(&format!("{list}{after}"), Some(key))?;
        let Some(Value::Array(data)) = page.get_mut("data").map(Value::take) else {
            bail!("the provider lists no events: {page}");
        };
        all.extend(data);
        if page["has_more"] != true {
            return Ok(all);
        }
    }
}

fn signed(fleet: &State, body: &str) -> Vec<u8> {
    // The one clock at hand: nothing else here needs the time of day.
    let now = Uuid::now_v7()
        .get_timestamp()
        .map_or(0, |at| at.to_unix().0);
    let mut mac = Hmac::<Sha256>::new_from_slice(fleet.psp_webhook_secret.as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(format!("{now}.{body}").as_bytes());
    let signature = format!("t={now},v1={}", hex::encode(mac.finalize().into_bytes()));
    wire::request(
        wire::authority(&fleet.gateway),
        "POST /api/webhooks/psp/stripe",
        &[
            ("content-type", "application/json; charset=utf-8"),
            ("stripe-signature", &signature),
        ],
        body,
    )
}
