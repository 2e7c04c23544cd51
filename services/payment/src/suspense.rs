//! Money that was taken otherwise than asked for: it waits in the books until a person decides. Given back at the provider,
//! it leaves them again, and the payment ends, for nothing can be charged for it any more.

use chrono::{DateTime, Utc};
use common::{money::Money, payment::Event};
use sqlx::PgConnection;

use crate::{
    alarm,
    db::{
        books,
        exceptions::{self, PROVIDER},
    },
    domain::{Change, Effect, Exception, Kind, Payment, Post, Told},
    ledger,
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
    if !books::has(&mut *connection, id, Effect::Suspense, &intent).await? {
        ledger::post(connection, id, &[Post::suspense(&intent, taken)], None, now).await?;
        let matter = Exception {
            kind: Kind::Suspense,
            subject: intent.clone(),
            payment_id: Some(id),
            amount: Some(taken),
            detail: format!("{taken} was taken instead of {}", payment.amount),
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
    if given_back < taken.minor {
        return Ok(None);
    }
    if !books::has(&mut *connection, id, Effect::SuspenseResolved, &intent).await? {
        ledger::post(
            connection,
            id,
            &[Post::suspense_resolved(&intent, taken)],
            None,
            now,
        )
        .await?;
    }
    exceptions::close(connection, Kind::Suspense, &[&intent], PROVIDER, now).await?;
    let ended = payment.hear(Event::Failed, Told::default(), now);
    Ok(ended.ok().map(Box::new))
}
