//! A change of payments, written whole: the rows, their history, the declined tries, the books, and the events that
//! tell of it. Whatever moves a payment, a webhook, an answer of the provider or an admin, ends here, under the
//! payment's lock.

use chassis::telemetry;
use common::{events::Event, ids::PaymentId, outbox};
use sqlx::PgConnection;

use crate::{
    db::{
        attempts,
        payments::{self, Saved},
        transitions,
    },
    domain::{Change, Ending, Payment},
    ledger::{self, Booked},
    velocity,
};

/// How often one intent may be declined: after that it is cancelled.
const TRIES: i64 = 5;

/// A change of a payment, with what caused it.
pub struct Made<'a> {
    /// The change.
    pub change: &'a Change,
    /// The provider's event type, or what else moved the payment.
    pub cause: &'a str,
    /// The provider's event behind it.
    pub psp_event: Option<&'a str>,
    /// The trace of the request behind it; where there was none, as when we looked ourselves, it is the pledge's.
    pub trace_id: Option<&'a str>,
    /// The trace that the event goes on with.
    pub traceparent: Option<String>,
}

impl<'a> Made<'a> {
    /// A change that no event of the provider's brought, with the request behind it where there is one.
    pub fn by(
        cause: &'a str,
        trace_id: Option<&'a str>,
        payment: &Payment,
        change: &'a Change,
    ) -> Self {
        Self {
            change,
            cause,
            psp_event: None,
            trace_id,
            traceparent: trace(payment, change),
        }
    }
}

/// Writes changed payments and what was changed of them, in their order.
///
/// # Errors
/// When the database refuses; nothing of the transaction may stand then.
pub async fn write(
    connection: &mut PgConnection,
    saved: &[Saved<'_>],
    made: &[Made<'_>],
) -> Result<(), sqlx::Error> {
    let mut steps = Vec::new();
    let mut declined = Vec::new();
    let mut booked = Vec::new();
    let mut told = Vec::new();
    for made in made {
        let Made {
            change,
            cause,
            psp_event,
            ..
        } = *made;
        let of_the_pledge = made.traceparent.as_deref().and_then(common::trace::id_of);
        let trace_id = made.trace_id.or(of_the_pledge);
        let (payment_id, version) = (change.event.payment_id, change.event.version);
        let at = change.event.occurred_at;
        steps.extend(change.transitions.iter().map(|step| transitions::Recorded {
            payment_id,
            version,
            step: *step,
            cause,
            psp_event,
            trace_id,
            at,
        }));
        declined.extend(change.decline.as_ref().map(|decline| attempts::Declined {
            payment_id,
            version,
            psp_event,
            decline,
            at,
        }));
        booked.push(Booked {
            payment_id,
            moved: &change.moved,
            trace_id,
            at,
        });
        told.push(outbox::Row::of(&change.event, made.traceparent.clone()));
    }
    payments::save(connection, saved).await?;
    transitions::insert_all(connection, &steps).await?;
    attempts::insert_all(connection, &declined).await?;
    if let Some(last) = declined.last() {
        let tried: Vec<PaymentId> = declined
            .iter()
            .map(|declined| declined.payment_id)
            .collect();
        let for_good = declined.iter().filter(|tried| tried.decline.is_final());
        let mut spent = attempts::spent(connection, &tried, TRIES).await?;
        spent.extend(for_good.map(|declined| declined.payment_id));
        payments::end(connection, &spent, Ending::Declines, last.at).await?;
        velocity::stop(connection, &tried, last.at).await?;
    }
    ledger::write(connection, &booked).await?;
    outbox::insert_all(connection, &told).await
}

/// The trace that a change goes on with: the pledge's, not that of the request that brought the news, so that one trace
/// leads from the pledge to the mail.
pub fn trace(payment: &Payment, change: &Change) -> Option<String> {
    let span = telemetry::span_from(change.event.kind(), payment.traceparent.as_deref());
    let child = span.in_scope(telemetry::traceparent);
    child.or_else(|| payment.traceparent.clone())
}
