//! How long committed facts wait to be published, watched while something else runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::fleet::state::State;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The age of the oldest fact in any outbox, in seconds.
const OLDEST: &str = "
    select coalesce(max(extract(epoch from clock_timestamp() - created_at)), 0)
    from ((select created_at from pledge.outbox order by id limit 1)
          union all (select created_at from payment.outbox order by id limit 1)
          union all (select created_at from totals.outbox order by id limit 1)) oldest";

/// What `work` comes to, and the greatest age of a fact that waited meanwhile, in seconds.
pub(super) fn during<T>(fleet: &State, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let over = AtomicBool::new(false);
    let (done, worst) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| watch(fleet, &over));
        let done = work();
        over.store(true, Ordering::Relaxed);
        (done, watch.join())
    });
    let worst = worst.map_err(|_| anyhow::anyhow!("the watch on the outboxes panicked"))??;
    Ok((done?, worst))
}

fn watch(fleet: &State, over: &AtomicBool) -> Result<f64> {
    let psql = super::psql(fleet)?;
    let mut worst: f64 = 0.0;
    while !over.load(Ordering::Relaxed) {
        let age = psql.query(OLDEST)?;
        let age = age.parse().with_context(|| format!("no age: {age}"))?;
        worst = worst.max(age);
        std::thread::sleep(LOOK);
    }
    Ok(worst)
}
