//! Deliveries with their rulings, and how they are written.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use sqlx::PgConnection;

use crate::{
    db::{exceptions, parked, rulings, webhooks},
    delivery::{Delivery, Source},
    domain::{About, Diff, Exception, Kind, Ruling, Verdict},
};

/// A delivery with its ruling.
pub struct Ruled<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// The payment's own intent.
    pub intent: Option<String>,
    /// What was decided.
    pub ruling: Ruling,
    /// What it changes.
    pub diff: Option<Diff>,
    /// How often its event was judged again before.
    pub rulings: i32,
    /// The trace that the change goes on with.
    pub traceparent: Option<String>,
}

/// As it is kept.
pub fn row<'a>(ruled: &'a Ruled<'a>) -> webhooks::Ruled<'a> {
    let delivery = ruled.delivery;
    webhooks::Ruled {
        event_id: &delivery.notice.event_id,
        kind: &delivery.notice.kind,
        verdict: ruled.ruling.verdict,
        detail: ruled.ruling.detail,
        payment_id: ruled.payment_id,
        body: &delivery.body,
        signature: &delivery.signature,
        trace_id: delivery.trace_id.as_deref(),
        received_at: delivery.received_at,
        source: delivery.source.as_str(),
        headers: delivery.headers.as_deref(),
        diff: ruled.diff.as_ref().map(Diff::json),
    }
}

/// Adds the verdicts of events that were judged again. What is still parked stays so, without another verdict, unless an
/// admin wanted it.
pub async fn revise(
    connection: &mut PgConnection,
    again: &[&Ruled<'_>],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let settled = |ruled: &&&Ruled<'_>| ruled.ruling.verdict != Verdict::Parked;
    let replayed = |ruled: &&&Ruled<'_>| {
        settled(ruled) || matches!(ruled.delivery.source, Source::Replayed(_))
    };
    let rows: Vec<_> = again
        .iter()
        .filter(replayed)
        .map(|ruled| rulings::Revised {
            event_id: &ruled.delivery.notice.event_id,
            n: ruled.rulings + 1,
            verdict: ruled.ruling.verdict,
            detail: ruled.ruling.detail,
            payment_id: ruled.payment_id,
            diff: ruled.diff.as_ref().map(Diff::json),
            cause: ruled.delivery.source.as_str(),
            ruled_by: match ruled.delivery.source {
                Source::Replayed(by) => Some(by),
                _ => None,
            },
            trace_id: ruled.delivery.trace_id.as_deref(),
            at: now,
        })
        .collect();
    rulings::insert_all(connection, &rows).await?;
    let done: Vec<&str> = again
        .iter()
        .filter(settled)
        .map(|ruled| ruled.delivery.notice.event_id.as_str())
        .collect();
    parked::remove(connection, &done).await?;
    exceptions::close(connection, Kind::Parked, &done, "its payment is known", now).await
}

/// The matter that a delivery is, where it cannot be true together with what we know. All of a payment are one; what
/// asking about the payment cannot settle, for it is about another intent, is one of its own.
pub fn doubt(ruled: &Ruled<'_>) -> Option<Exception> {
    let kind = match ruled.ruling.verdict {
        Verdict::Conflict => Kind::Conflict,
        Verdict::Quarantined => Kind::Quarantined,
        _ => return None,
    };
    let notice = &ruled.delivery.notice;
    let subject = match (&notice.about, ruled.payment_id) {
        (About::Intent(news), Some(id)) if ruled.intent.as_ref() == Some(&news.intent) => {
            id.to_string()
        }
        _ => notice.event_id.clone(),
    };
    Some(Exception {
        kind,
        subject,
        payment_id: ruled.payment_id,
        amount: notice.money(),
        detail: format!(
            "{}: {}",
            notice.kind,
            ruled.ruling.detail.unwrap_or_default()
        ),
        due_at: None,
    })
}
