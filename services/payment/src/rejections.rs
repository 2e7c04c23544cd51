//! Deliveries that were not believed, or could not be read: a few of the newest are kept, with their headers, so that a
//! person can see what somebody tries. They are counted all, and nothing is ever concluded from them.

use std::sync::{Mutex, PoisonError};

use chassis::telemetry;
use chrono::{DateTime, Duration, Utc};

use crate::{app::App, db::webhooks};

/// How many are kept a minute.
const A_MINUTE: u32 = 60;
/// How much of a body is kept, in bytes.
const BODY: usize = 64 * 1024;
/// What their bodies are sealed for: they have no id of their own.
pub const OWNER: &[u8] = b"rejected webhook";

/// What stands before the slot in a rejected delivery's id.
const ID: &str = "rejected_";

/// Where the rejected delivery with this id is kept; none for every other id.
pub fn slot(id: &str) -> Option<i32> {
    id.strip_prefix(ID)?.parse().ok()
}

/// How many were kept in the minute that runs.
#[derive(Default)]
pub struct Rejections(Mutex<(DateTime<Utc>, u32)>);

impl Rejections {
    /// Keeps a delivery, unless the minute has had enough of them. Where it cannot be written it is only counted.
    pub async fn keep(&self, app: &App, why: &'static str, body: &[u8], headers: Option<String>) {
        let now = app.clock.now();
        if !self.admits(now) {
            return;
        }
        let sealed = app.sealer.seal(OWNER, &body[..body.len().min(BODY)]);
        let trace_id = telemetry::trace_id();
        let (headers, trace_id) = (headers.as_deref(), trace_id.as_deref());
        let kept = webhooks::reject(app.db.pool(), why, &sealed, headers, trace_id, now);
        if let Err(error) = kept.await {
            tracing::warn!(%error, "a delivery that was not believed is not kept");
        }
    }

    fn admits(&self, now: DateTime<Utc>) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now - state.0 >= Duration::minutes(1) {
            *state = (now, 0);
        }
        state.1 += 1;
        state.1 <= A_MINUTE
    }
}
