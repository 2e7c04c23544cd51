//! Far more than fits: what is taken is as much as ever, the rest is refused within its time, and then all is as before.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::Settings;
use super::wrk::{self, Burst};
use crate::fleet::state::State;

/// How an overload went.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Overload {
    /// While there was too much.
    pub during: Burst,
    /// The usual connections right after it.
    pub after: Burst,
}

impl Overload {
    /// As many as the gateway keeps open, each with a pledge on its way all the time.
    pub const CONNECTIONS: usize = 4096;

    /// Pledges taken per second meanwhile.
    pub fn taken_per_second(&self) -> f64 {
        self.during.per_second - self.refused_per_second()
    }

    /// Pledges refused per second meanwhile.
    pub fn refused_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let refused = self.during.refused as f64;
        refused / self.during.seconds
    }

    /// What was taken meanwhile, to what the usual connections get taken right after.
    pub fn goodput(&self) -> f64 {
        self.taken_per_second() / self.after.per_second
    }
}

/// Has everybody pledge at once, and then no more than usual.
///
/// # Errors
/// When wrk cannot be run.
pub fn drive(root: &Path, fleet: &State, settings: &Settings) -> Result<Overload> {
    let crowd = wrk::Loop {
        connections: Overload::CONNECTIONS,
        ..settings.usual()
    };
    Ok(Overload {
        during: wrk::drive(root, "pledges", fleet, crowd)?,
        after: wrk::drive(root, "pledges", fleet, settings.usual())?,
    })
}
