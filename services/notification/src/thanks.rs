//! Which payments deserve thanks, and which do not any more.

use chrono::{DateTime, Utc};
use common::{
    events::{PaymentEvent, PaymentKind},
    payment::State,
};
use uuid::Uuid;

use crate::db::deliveries::NewDelivery;

/// The thank-you that a snapshot of a payment calls for: its money has been taken and not been given back.
///
/// A snapshot shows where the payment stands, so one that follows a missed capture (COMPLETED) calls for it too. The
/// constraint on deliveries sees to it that only the first of them does.
pub fn due(
    event: &PaymentEvent,
    traceparent: Option<&str>,
    now: DateTime<Utc>,
) -> Option<NewDelivery> {
    let taken = matches!(event.state, State::Captured | State::Completed)
        || event.kind == PaymentKind::LateCaptured;
    (taken && kept(event) > 0).then(|| NewDelivery {
        delivery_id: Uuid::now_v7(),
        payment_id: event.payment_id.get(),
        payment_version: event.version,
        campaign_id: event.campaign_id.get(),
        contact_id: event.contact_id.get(),
        amount: event.captured,
        currency: event.amount.currency.as_str(),
        traceparent: traceparent.map(str::to_owned),
        created_at: now,
    })
}

/// Whether nothing is left of a payment's money, so that thanks that nobody has sent yet would come too late.
pub fn is_over(event: &PaymentEvent) -> bool {
    event.captured > 0 && kept(event) <= 0
}

/// What refunds and lost disputes have left, in minor units.
fn kept(event: &PaymentEvent) -> i64 {
    event.captured - event.refunded - event.disputed
}
