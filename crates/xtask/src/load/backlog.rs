//! What a burst leaves behind, and how long it takes until every service has seen it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::fleet::Psql;
use crate::fleet::state::State;
use crate::interrupt;

/// The longest that a backlog may take.
const PATIENCE: Duration = Duration::from_mins(5);

const LEFT: &str = "select (select count(*) from pledge.outbox) + (select count(*) from payment.outbox),
                           (select count(*) from pledge.pledges) - (select count(*) from payment.payments)";

/// How a backlog went.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Drain {
    /// Committed facts that Kafka had not acknowledged when the burst ended.
    pub unpublished: u64,
    /// Pledges that had no payment yet.
    pub unseen: u64,
    /// Seconds until there was neither.
    pub seconds: f64,
}

impl Drain {
    /// Facts published and payments made, per second; nothing where there was nothing to do.
    pub fn per_second(&self) -> Option<f64> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of rows are far below 2^52"
        )]
        let events = (self.unpublished + self.unseen) as f64;
        (events > 0.0 && self.seconds > 0.0).then(|| events / self.seconds)
    }
}

/// Waits until every outbox is empty and every pledge has its payment.
pub fn drain(fleet: &State) -> Result<Drain> {
    let psql = super::psql(fleet)?;
    let began = Instant::now();
    let (unpublished, unseen) = left(&psql)?;
    let clear = interrupt::poll(PATIENCE, || Ok((left(&psql)? == (0, 0)).then_some(())))?;
    if clear.is_none() {
        let (unpublished, unseen) = left(&psql)?;
        bail!(
            "after {} s there are still {unpublished} unpublished events and {unseen} pledges without a payment",
            PATIENCE.as_secs()
        );
    }
    Ok(Drain {
        unpublished,
        unseen,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn left(psql: &Psql) -> Result<(u64, u64)> {
    let row = psql.query(LEFT)?;
    let (unpublished, unseen) = row
        .split_once('|')
        .with_context(|| format!("cannot understand {row}"))?;
    // Payments of a moment ago may outnumber the pledges that this snapshot counts.
    Ok((
        unpublished.parse()?,
        unseen.parse::<i64>()?.max(0).unsigned_abs(),
    ))
}
