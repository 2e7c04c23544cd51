//! `cfa.payment.events.v1`: whom to thank.

use std::collections::BTreeMap;

use chassis::kafka::{Fault, Message};
use common::events::PaymentEvent;

use crate::{App, db::deliveries, thanks};

/// Queues the thanks that are due, and withdraws those whose money has gone back, by the newest snapshot of each payment.
/// A payment that has its mail already gets no other.
pub async fn apply(app: &App, messages: impl Iterator<Item = &Message>) -> Result<(), Fault> {
    let now = app.clock.now();
    // In one order in every process, so that two of them wait for each other instead of deadlocking.
    let mut newest: BTreeMap<_, (PaymentEvent, Option<&str>)> = BTreeMap::new();
    for message in messages {
        let event: PaymentEvent = message.json()?;
        let id = event.payment_id.get();
        let known = newest.get(&id).map_or(0, |(known, _)| known.version);
        if event.version > known {
            newest.insert(id, (event, message.header("traceparent")));
        }
    }
    let told = newest.values();
    let due: Vec<_> = told
        .clone()
        .filter_map(|(event, traceparent)| thanks::due(event, *traceparent, now))
        .collect();
    let over: Vec<_> = told
        .filter(|(event, _)| thanks::is_over(event))
        .map(|(event, _)| (event.payment_id.get(), event.version))
        .collect();
    deliveries::queue(app.db.pool(), &due).await?;
    deliveries::withdraw(app.db.pool(), &over).await?;
    Ok(())
}
