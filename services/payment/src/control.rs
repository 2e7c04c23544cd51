//! Calling payments off: whoever asks is written down first, then the provider is asked to cancel, outside of any
//! transaction, and what it answers moves the payment. If the donor pays at the same moment, the provider's order
//! decides: a payment that could not be cancelled has been captured, and stays so.
//!
//! A call without an answer leaves the payment where it is; the worker of endings asks again.

use chassis::telemetry;
use chrono::{DateTime, Utc};
use common::{events::Event as _, ids::PaymentId, payment::State};

use crate::{
    alarm,
    app::App,
    db::{
        due, lookup,
        payments::{self, Saved},
    },
    domain::{Change, Ending, Observation, Outcome, Payment, Seen, Told, observe},
    error::Error,
    provider::{Failure, REMEMBERED},
    transition::{self, Made},
    unanswered,
};

/// Calls a payment off, and gives it as it stands then: ended, still live where the provider has not answered yet, or
/// captured where the donor was faster.
///
/// # Errors
/// 404 for a payment that is not there, or what the database says.
pub async fn cancel(app: &App, id: PaymentId, why: Ending) -> Result<Payment, Error> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let payment = locked(&mut tx, id).await?;
    if !payment.state.is_live() {
        return Ok(payment);
    }
    // The worker asks again if this process dies before the provider has answered.
    let ask_at = now + app.settings.resolve_after;
    payments::end(&mut tx, &[id], why, ask_at).await?;
    tx.commit().await?;
    chassis::failpoint!("payment.after_ending_written");
    settle(app, id).await
}

/// Carries out what is written down: has the intent of a payment that was called off cancelled.
///
/// # Errors
/// 404 for a payment that is not there, or what the database says. A provider that does not answer is none.
pub async fn settle(app: &App, id: PaymentId) -> Result<Payment, Error> {
    let called = lookup::find_called(app.db.pool(), id).await?;
    let called = called.ok_or(Error::NotFound)?;
    let payment = &called.payment;
    let Some(ending) = payment.ending.filter(|_| payment.state.is_live()) else {
        payments::end_again(app.db.pool(), id, None).await?;
        return Ok(called.payment);
    };
    let intent = match (&payment.provider_ref, payment.outcome) {
        (Some(intent), _) => intent.clone(),
        (None, Outcome::None) => return end_unopened(app, id).await,
        (None, _) if app.clock.now() - payment.created_at > REMEMBERED => {
            let again = app.clock.now() + app.settings.longest_pause();
            payments::end_again(app.db.pool(), id, Some(again)).await?;
            return find(app, id).await;
        }
        // It may have been opened: what is not known cannot be cancelled.
        (None, _) => match app.charges.ask_anyway(Box::new(called)).await {
            Ok(asked) => {
                app.charges.finish(&asked, None).await?;
                asked.intent.id
            }
            Err(_) => return find(app, id).await,
        },
    };
    let tries = due::tries(app.db.pool(), id).await?;
    match ask(app, &intent, ending, id, tries).await {
        Ok(seen) => {
            let cause = match seen.status.as_str() {
                "canceled" => ending.cause(),
                _ => "provider.answered",
            };
            apply(app, id, &seen, cause).await
        }
        Err(failure) => {
            note(id, &failure);
            let payment = find(app, id).await?;
            unanswered::tell_of_tries(app, &payment, "cancel", tries).await?;
            Ok(payment)
        }
    }
}

/// Asks the provider to cancel, and gives the intent as it stands after that. From the second try on it looks first, and
/// always where time ran out: a donor whose money is held has paid in time, and we were only not told.
async fn ask(
    app: &App,
    intent: &str,
    ending: Ending,
    id: PaymentId,
    tries: i32,
) -> Result<Seen, Failure> {
    let psp = app.charges.psp();
    let has_lapsed = ending == Ending::Expired;
    if tries > 0 || has_lapsed {
        let seen = psp.intent(intent).await?.seen();
        match seen.status.as_str() {
            "canceled" | "succeeded" => return Ok(seen),
            "requires_capture" if has_lapsed => return Ok(seen),
            _ => {}
        }
    }
    match psp.cancel(intent, &ending.frozen(id, tries)).await {
        Ok(answer) => {
            chassis::failpoint!("payment.after_cancelled");
            Ok(answer.seen())
        }
        Err(Failure::Unfit { .. }) => Ok(psp.intent(intent).await?.seen()),
        Err(failure) => Err(failure),
    }
}

/// Moves a payment to where its intent was seen to stand, and gives it as it stands then.
///
/// # Errors
/// 404 for a payment that is not there, or what the database says.
pub async fn apply(app: &App, id: PaymentId, seen: &Seen, cause: &str) -> Result<Payment, Error> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let mut payment = locked(&mut tx, id).await?;
    let was = payment.version;
    match observe(&mut payment, seen, now) {
        Observation::Change(change) => write(&mut tx, &payment, was, &change, cause).await?,
        Observation::Recorded => {
            let saved = Saved {
                payment: &payment,
                was,
            };
            payments::save(&mut tx, &[saved]).await?;
        }
        Observation::Nothing => {}
        Observation::Contradiction(why) => {
            // Whoever asks the provider about payments settles it.
            payments::ask_by(&mut tx, &[id], now).await?;
            tracing::warn!(payment.id = %id, why, "what the provider has contradicts the payment");
        }
    }
    if !payment.state.is_live() {
        payments::end_again(&mut *tx, id, None).await?;
    } else if payment.state == State::Authorized && payment.ending == Some(Ending::Expired) {
        payments::came_in_time(&mut *tx, id).await?;
        payment.ending = None;
    }
    tx.commit().await?;
    Ok(payment)
}

/// Ends a payment whose intent nobody has asked for: from now on nobody will.
async fn end_unopened(app: &App, id: PaymentId) -> Result<Payment, Error> {
    // Otherwise somebody was about to open it, and is asked about soon.
    end_without_intent(app, id, |payment| payment.outcome == Outcome::None).await
}

/// Ends a payment that was called off, or ran out of time, and whose intent the provider never made: the call that was to
/// make it can have no effect any more.
///
/// # Errors
/// 404 for a payment that is not there, or what the database says.
pub async fn end_unmade(app: &App, id: PaymentId) -> Result<(), Error> {
    let payment = end_without_intent(app, id, |payment| payment.provider_ref.is_none()).await?;
    let state = payment.state.as_str();
    tracing::warn!(payment.id = %id, state, "the provider never made the intent of a call without an answer");
    Ok(())
}

async fn end_without_intent(
    app: &App,
    id: PaymentId,
    is_so: impl Fn(&Payment) -> bool,
) -> Result<Payment, Error> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let mut payment = locked(&mut tx, id).await?;
    let Some(ending) = payment.ending.filter(|_| is_so(&payment)) else {
        return Ok(payment);
    };
    let was = payment.version;
    let Ok(change) = payment.hear(ending.event(), Told::default(), now) else {
        return Ok(payment);
    };
    payment.outcome = Outcome::Known;
    write(&mut tx, &payment, was, &change, ending.cause()).await?;
    payments::end_again(&mut *tx, id, None).await?;
    tx.commit().await?;
    Ok(payment)
}

/// Writes a change that no delivery brought.
async fn write(
    tx: &mut chassis::db::Tx,
    payment: &Payment,
    was: i64,
    change: &Change,
    cause: &str,
) -> Result<(), sqlx::Error> {
    let trace_id = telemetry::trace_id();
    let made = Made::by(cause, trace_id.as_deref(), payment, change);
    transition::write(tx, &[Saved { payment, was }], &[made]).await?;
    tracing::info!(payment.id = %payment.payment_id, kind = change.event.kind(), cause, "a payment moved");
    Ok(())
}

/// The payment under its lock.
///
/// # Errors
/// 404, or what the database says.
pub async fn locked(tx: &mut chassis::db::Tx, id: PaymentId) -> Result<Payment, Error> {
    let found = lookup::lock(tx, &[id], &[]).await?;
    found.into_iter().next().ok_or(Error::NotFound)
}

/// The payment as it stands.
///
/// # Errors
/// 404, or what the database says.
pub async fn find(app: &App, id: PaymentId) -> Result<Payment, Error> {
    lookup::find(app.db.pool(), id)
        .await?
        .ok_or(Error::NotFound)
}

/// When a call that has no answer is made again: the later the oftener it was made.
pub fn again(app: &App, now: DateTime<Utc>, tries: i32) -> DateTime<Utc> {
    now + app.settings.pause(tries + 1)
}

/// Tells of a call without an answer.
pub fn note(id: PaymentId, failure: &Failure) {
    match failure {
        Failure::Misconfigured(said) => alarm::raise(alarm::PSP_MISCONFIGURED, Some(id), said),
        other => {
            tracing::warn!(payment.id = %id, error = %other, "the provider has not answered yet");
        }
    }
}

/// Whether money is held that nobody has called off.
pub fn holds(payment: &Payment) -> bool {
    payment.state == State::Authorized && payment.ending.is_none()
}
