//! Calls to the provider whose answer does not come: after a while a person hears of them, until it has come.

use chrono::{DateTime, Utc};
use common::{ids::PaymentId, money::Money};
use uuid::Uuid;

use crate::{
    app::App,
    db::exceptions,
    domain::{Exception, Kind},
    error::Error,
};

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
    let matter = Exception {
        kind: Kind::Unknown,
        subject: call.subject.to_string(),
        payment_id: Some(call.payment_id),
        amount: Some(call.amount),
        detail: call.detail.to_owned(),
        due_at: None,
    };
    let mut tx = app.db.begin().await?;
    exceptions::open(&mut tx, &[matter], now).await?;
    tx.commit().await?;
    Ok(())
}
