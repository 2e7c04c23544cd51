//! Calls to the provider whose answer does not come: after a while a person hears of them, until it has come.

use chrono::{DateTime, Utc};
use common::{ids::PaymentId, money::Money};
use uuid::Uuid;

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
    /// The payment or refund of ours that it was to make.
    pub subject: Uuid,
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
    let subject = call.subject.to_string();
    let detail = call.detail.to_owned();
    open(app, subject, call.payment_id, call.amount, detail).await
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
    let subject = format!("{what}:{}", payment.payment_id);
    let detail = format!("the provider was asked {tries} times to {what} this payment, in vain");
    open(app, subject, payment.payment_id, payment.amount, detail).await
}

/// Makes it a matter for a person that the provider will never do something to a payment.
///
/// # Errors
/// When the database is away.
pub async fn tell_of_refusal(
    app: &App,
    payment: &Payment,
    what: &str,
    code: &str,
) -> Result<(), Error> {
    let subject = format!("{what}:{}", payment.payment_id);
    let detail = format!("the provider refuses for good to {what} this payment: {code}");
    open(app, subject, payment.payment_id, payment.amount, detail).await
}

async fn open(
    app: &App,
    subject: String,
    payment_id: PaymentId,
    amount: Money,
    detail: String,
) -> Result<(), Error> {
    let matter = Exception {
        kind: Kind::Unknown,
        subject,
        payment_id: Some(payment_id),
        amount: Some(amount),
        detail,
        due_at: None,
    };
    let mut tx = app.db.begin().await?;
    exceptions::open(&mut tx, &[matter], app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}
