//! How fast the totals are built anew from the payments.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::client::Client;
use crate::fleet::state::State;
use crate::interrupt;

/// The longest that it may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// A rebuild of all totals.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rebuild {
    /// How many payments were read.
    pub payments: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Rebuild {
    /// Payments per second.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of payments is far below 2^52"
    )]
    pub fn per_second(&self) -> f64 {
        self.payments as f64 / self.seconds
    }
}

/// Has all totals built anew, and waits until they are in place.
pub(super) fn drive(fleet: &State) -> Result<Rebuild> {
    let client = Client::new(fleet);
    let token = client.log_in(&fleet.admin.email, &fleet.admin.password)?;
    let began = Instant::now();
    let run = client.administer("/api/admin/totals/rebuild", &token)?;
    let id = run["id"].as_str().context("the rebuild has no id")?;
    let path = format!("/api/admin/totals/rebuilds/{id}");
    let done = interrupt::poll(PATIENCE, || {
        let run = client.read(&path, &token)?;
        match run["state"].as_str() {
            Some("LIVE") => Ok(Some(run)),
            Some("BUILDING") => Ok(None),
            _ => bail!("the rebuild went wrong: {run}"),
        }
    })?;
    let done = done.context("the rebuild does not end")?;
    Ok(Rebuild {
        payments: done["payments"].as_u64().context("how many payments?")?,
        seconds: began.elapsed().as_secs_f64(),
    })
}
