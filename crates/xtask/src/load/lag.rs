//! How long committed facts wait to be published, watched while something else runs.

use anyhow::{Context, Result};

use crate::fleet::state::State;

/// How often it is looked at, in seconds.
const LOOK: f64 = 0.2;

/// The age of the oldest fact in any outbox, in seconds.
const OLDEST: &str = "
    select coalesce(max(extract(epoch from clock_timestamp() - created_at)), 0)
    from ((select created_at from pledge.outbox order by id limit 1)
          union all (select created_at from payment.outbox order by id limit 1)
          union all (select created_at from totals.outbox order by id limit 1)) oldest";

/// What `work` comes to, and the greatest age of a fact that waited meanwhile, in seconds.
pub(super) fn during<T>(fleet: &State, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let watch = super::psql(fleet)?.watch(OLDEST, LOOK)?;
    let done = work()?;
    let seen = watch.end()?;
    let ages = seen.lines().filter_map(|line| line.trim().parse().ok());
    let worst = ages.reduce(f64::max).context("nobody saw the outboxes")?;
    Ok((done, worst))
}
