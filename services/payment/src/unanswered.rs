//! Calls to the provider whose answer does not come: after a while a person hears of them, until it has come.

use chrono::{DateTime, Utc};
use common::{ids::PaymentId, money::Money};

use crate::{
    app::App,
    db::exceptions,
    domain::{Exception, Kind, Payment},
    error::Error,
};

/// How many tries without an answer are many: the pauses between them double up to some minutes.
const OFTEN: i32 = 8;

/// A call without an answer.
pub struct Unanswered {
    /// The payment or refund of ours that it was to make, or what it was to do to the payment.
    pub subject: String,
    /// The payment that it concerns.
    pub payment_id: PaymentId,
    /// How much money it was to move.
    pub amount: Money,
    /// When it was made first.
    pub since: DateTime<Utc>,
    /// What is known of it, for a person.
    pub detail: &'static str,
}

/// Makes a call a matter for a person, if it is without an answer for long enough.
///
/// # Errors
/// When the database is away.
pub async fn tell_a_person(app: &App, call: Unanswered) -> Result<(), Error> {
    let now = app.clock.now();
    let patience = app.settings.cadences.unknown_after;
    if (now - call.since).to_std().unwrap_or_default() <= patience {
        return Ok(());
    }
    let matter = Exception {
        kind: Kind::Unknown,
        subject: call.subject,
        payment_id: Some(call.payment_id),
        amount: Some(call.amount),
        detail: call.detail.to_owned(),
        due_at: None,
    };
    open(app, matter, now).await
}

/// Makes it a matter for a person that the provider was asked in vain this often to do something to a payment: `what` is
/// `capture` or `cancel`.
///
/// # Errors
/// When the database is away.
pub async fn tell_of_tries(
    app: &App,
    payment: &Payment,
    what: &str,
    tries: i32,
) -> Result<(), Error> {
    if tries < OFTEN {
        return Ok(());
    }
    let matter = Exception {
        kind: Kind::Unknown,
        subject: format!("{what}:{}", payment.payment_id),
        payment_id: Some(payment.payment_id),
        amount: Some(payment.amount),
        detail: format!("the provider was asked {tries} times to {what} this payment, in vain"),
        due_at: None,
    };
    open(app, matter, app.clock.now()).await
}

async fn open(app: &App, matter: Exception, now: DateTime<Utc>) -> Result<(), Error> {
    let mut tx = app.db.begin().await?;
    exceptions::open(&mut tx, &[matter], now).await?;
    tx.commit().await?;
    Ok(())
}
