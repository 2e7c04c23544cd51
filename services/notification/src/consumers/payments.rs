//! `cfa.payment.events.v1`: whom to thank.

use std::collections::BTreeSet;

use chassis::kafka::{Fault, Message};
use common::events::PaymentEvent;

use crate::{App, db::deliveries, thanks};

/// Queues the thanks that are due, and withdraws those whose money has gone back. A payment that has one already gets no
/// other.
pub async fn apply(app: &App, messages: impl Iterator<Item = &Message>) -> Result<(), Fault> {
    let now = app.clock.now();
    let mut due = Vec::new();
    let mut over = BTreeSet::new();
    for message in messages {
        let event: PaymentEvent = message.json()?;
        if thanks::is_over(&event) {
            over.insert(event.payment_id.get());
        } else {
            over.remove(&event.payment_id.get());
        }
        due.extend(thanks::due(&event, message.header("traceparent"), now));
    }
    // In one order in every process, so that two of them wait for each other instead of deadlocking.
    due.sort_by_key(|delivery| delivery.payment_id);
    deliveries::queue(app.db.pool(), &due).await?;
    deliveries::withdraw(app.db.pool(), &Vec::from_iter(over)).await?;
    Ok(())
}
