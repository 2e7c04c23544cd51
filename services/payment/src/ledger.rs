//! The books: what changed payments are in them, written in the transaction of the change.

use chrono::{DateTime, Utc};
use common::ids::{PaymentId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    db::ledger::{self, HoldStep, Set},
    domain::{Booking, Correction, Effect, Hold, Moved, Post},
};

/// A changed payment, to be booked.
pub struct Booked<'a> {
    /// Which payment.
    pub payment_id: PaymentId,
    /// How far it was and is.
    pub moved: &'a Moved,
    /// The request behind it.
    pub trace_id: Option<&'a str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Books changes in their order. An effect that is in the books already, of another event, stays as it is.
pub async fn write(
    connection: &mut PgConnection,
    changes: &[Booked<'_>],
) -> Result<(), sqlx::Error> {
    let bookings: Vec<(&Booked<'_>, Booking)> = changes
        .iter()
        .map(|change| (change, change.moved.booking()))
        .collect();
    let holds: Vec<HoldStep<'_>> = bookings
        .iter()
        .filter_map(|(change, booking)| Some(step(change, booking.hold?)))
        .collect();
    ledger::insert_holds(connection, &holds).await?;
    let sets: Vec<Set<'_>> = bookings
        .iter()
        .flat_map(|(change, booking)| booking.sets.iter().map(move |set| (change, set)))
        .filter(|_| chassis::guard!("ledger"))
        .map(|(change, set)| Set {
            id: Uuid::now_v7(),
            payment_id: Some(change.payment_id),
            effect: set.effect,
            psp_object: Some(&change.moved.object),
            reason: None,
            entered_by: None,
            trace_id: change.trace_id,
            at: change.at,
            entries: &set.entries,
        })
        .collect();
    ledger::insert_sets(connection, &sets).await
}

/// Books what moved on the provider's account by itself. A movement that is in the books already stays as it is.
pub async fn post(
    connection: &mut PgConnection,
    payment_id: PaymentId,
    posts: &[Post],
    trace_id: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let posts = posts.iter().filter(|_| chassis::guard!("ledger"));
    let sets: Vec<Set<'_>> = posts
        .map(|post| Set {
            id: Uuid::now_v7(),
            payment_id: Some(payment_id),
            effect: post.effect,
            psp_object: Some(&post.object),
            reason: None,
            entered_by: None,
            trace_id,
            at,
            entries: &post.entries,
        })
        .collect();
    ledger::insert_sets(connection, &sets).await
}

/// Enters a correction under this id.
pub async fn correct(
    connection: &mut PgConnection,
    id: Uuid,
    correction: &Correction,
    by: UserId,
    trace_id: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let set = Set {
        id,
        payment_id: correction.payment_id,
        effect: Effect::Correction,
        psp_object: None,
        reason: Some(&correction.reason),
        entered_by: Some(by),
        trace_id,
        at,
        entries: &correction.entries,
    };
    ledger::insert_sets(connection, &[set]).await
}

fn step<'a>(change: &Booked<'a>, hold: Hold) -> HoldStep<'a> {
    let (step, held, posted) = match hold {
        Hold::Held(held) => ("held", held, 0),
        Hold::Posted { held, posted } => ("posted", held, posted),
        Hold::Voided { held } => ("voided", held, 0),
    };
    HoldStep {
        payment_id: change.payment_id,
        step,
        campaign_id: change.moved.campaign_id,
        currency: change.moved.currency,
        held,
        posted,
        released: if step == "held" { 0 } else { held - posted },
        trace_id: change.trace_id,
        at: change.at,
    }
}
