//! Money that was taken otherwise than asked for: it waits in the books until a person decides. Given back at the provider,
//! it leaves them again, and the payment ends, for nothing can be charged for it any more; should that refund fail later,
//! it is back in the books, and a person is asked again. A person may also decide to keep it, which ends the payment.

use chassis::telemetry;
use chrono::{DateTime, Utc};
use common::{ids::PaymentId, money::Money, payment::Event};
use sqlx::PgConnection;

use crate::{
    alarm,
    db::{
        books,
        exceptions::{self, PROVIDER},
        lookup,
        payments::{self, Saved},
    },
    domain::{Change, Effect, Ending, Exception, Kind, Payment, Post, Told},
    ledger,
    transition::{self, Made},
};

/// Books what was taken, once, and asks a person; what went back whole by now leaves the books, and gives how the payment
/// has ended by that.
///
/// # Errors
/// When the database refuses; nothing of the transaction may stand then.
pub async fn keep(
    connection: &mut PgConnection,
    payment: &mut Payment,
    taken: Money,
    given_back: i64,
    now: DateTime<Utc>,
) -> Result<Option<Box<Change>>, sqlx::Error> {
    let intent = payment.provider_ref.clone().unwrap_or_default();
    let id = payment.payment_id;
    let went_back = given_back >= taken.minor;
    let mut waited = books::times(&mut *connection, id, Effect::Suspense).await?;
    let left = books::times(&mut *connection, id, Effect::SuspenseResolved).await?;
    if waited == 0 || (waited == left && !went_back) {
        let again = if waited == 0 {
            ""
        } else {
            ", and could not be given back"
        };
        let post = Post::suspense(&intent, left, taken);
        ledger::post(connection, id, &[post], None, now).await?;
        waited += 1;
        let matter = Exception {
            kind: Kind::Suspense,
            subject: intent.clone(),
            payment_id: Some(id),
            amount: Some(taken),
            detail: format!("{taken} was taken instead of {}{again}", payment.amount),
            due_at: None,
        };
        exceptions::open(connection, &[matter], now).await?;
        alarm::raise(
            alarm::SUSPENSE,
            Some(id),
            "money was taken that nobody asked for",
        );
    }
    let subject = id.to_string();
    for kind in [Kind::Conflict, Kind::Quarantined] {
        exceptions::close(connection, kind, &[&subject], PROVIDER, now).await?;
    }
    if !went_back {
        return Ok(None);
    }
    if left < waited {
        let post = Post::suspense_resolved(&intent, left, taken);
        ledger::post(connection, id, &[post], None, now).await?;
    }
    exceptions::close(connection, Kind::Suspense, &[&intent], PROVIDER, now).await?;
    let ended = payment.hear(Event::Failed, Told::default(), now);
    Ok(ended.ok().map(Box::new))
}

/// A person has decided to keep the money: the payment ends, as what it was called off for or as failed, and nobody asks
/// the provider about it any more.
///
/// # Errors
/// When the database refuses; nothing of the transaction may stand then.
pub async fn kept(
    connection: &mut PgConnection,
    id: PaymentId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let locked = lookup::lock(&mut *connection, &[id], &[]).await?;
    let Some(mut payment) = locked.into_iter().next() else {
        return Ok(());
    };
    let was = payment.version;
    let event = payment.ending.map_or(Event::Failed, Ending::event);
    if let Ok(change) = payment.hear(event, Told::default(), now) {
        let saved = Saved {
            payment: &payment,
            was,
        };
        let trace_id = telemetry::trace_id();
        let made = Made::by("suspense.kept", trace_id.as_deref(), &payment, &change);
        transition::write(connection, &[saved], &[made]).await?;
        payments::rest(connection, id).await?;
    }
    Ok(())
}
