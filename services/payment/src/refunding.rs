//! Giving money back: the refund is stored with its call first, the call is made outside of any transaction, and what
//! came of it is read off the provider's own list. Whoever repeats the call sends the same key and the same bytes, and
//! only after a look that did not find the refund.

use chrono::Duration;
use common::{
    idempotency::{self, Claim, Joined, Reply},
    ids::PaymentId,
};

use crate::{
    alarm,
    app::App,
    cadence::growing,
    db::refunds,
    domain::{Cause, Outcome, Refund, Wish},
    error::Error,
    money_back::{self, Held},
    provider::{Failure, REMEMBERED},
    unanswered::{self, Unanswered},
};

/// How long a refund that the provider knows rests at most, where the sweep's rhythm is beyond all measure.
const LONGEST: Duration = Duration::hours(1);

/// What came of the wish for a refund.
pub enum Begun {
    /// It is stored, and is to be sent.
    Stored(Box<Refund>, Reply),
    /// An earlier reply to the same request.
    Replayed(Reply),
}

/// Stores a refund together with the reply that tells of it.
///
/// # Errors
/// 404, 409 `refund_exceeds_captured` or `dispute_open`.
pub async fn begin(
    app: &App,
    id: PaymentId,
    wish: Wish,
    claim: &Claim,
    reply: impl Fn(&Refund) -> Reply,
) -> Result<Begun, Error> {
    let mut tx = app.db.begin().await?;
    let held = Held::lock(&mut tx, id).await?.ok_or(Error::NotFound)?;
    let now = app.clock.now();
    // The refund of this very request may be there without its key: the provider remembered it, and we did not.
    let ours = |refund: &&Refund| refund.refund_id == wish.refund_id;
    let known = held.file.refunds.iter().find(ours).cloned();
    let is_known = known.is_some();
    let refund = match known {
        Some(refund) => refund,
        None => held.file.refund(&held.payment, wish, now)?,
    };
    let reply = reply(&refund);
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, claim, &reply).await? {
        tx.rollback().await?;
        return Ok(Begun::Replayed(earlier));
    }
    if is_known {
        tx.commit().await?;
        return Ok(Begun::Replayed(reply.replayed()));
    }
    let repeat_at = now + app.settings.resolve_after;
    refunds::save(&mut tx, std::slice::from_ref(&refund), repeat_at).await?;
    tx.commit().await?;
    chassis::failpoint!("payment.after_refund_stored");
    Ok(Begun::Stored(Box::new(refund), reply))
}

/// Gives back all that is left of a payment, because a rule says so; a rule refunds a payment once. The provider is asked
/// first what went back already: it may know more than we do. False where there is nothing to give back, or the donor's
/// bank is about to.
///
/// # Errors
/// When the provider or the database is away.
pub async fn by_rule(app: &App, id: PaymentId, cause: Cause, reason: &str) -> Result<bool, Error> {
    money_back::ask(app, id).await?;
    let mut tx = app.db.begin().await?;
    let held = Held::lock(&mut tx, id).await?.ok_or(Error::NotFound)?;
    if held.file.refunds.iter().any(|refund| refund.cause == cause) {
        return Ok(false);
    }
    let wish = Wish::of_rule(id, cause, reason);
    let now = app.clock.now();
    let Ok(refund) = held.file.refund(&held.payment, wish, now) else {
        return Ok(false);
    };
    let repeat_at = now + app.settings.resolve_after;
    refunds::save(&mut tx, std::slice::from_ref(&refund), repeat_at).await?;
    tx.commit().await?;
    chassis::failpoint!("payment.after_refund_stored");
    send(app, &refund).await;
    Ok(true)
}

/// Makes the call of a refund that was just stored, and learns what came of it. What fails here is repeated by the
/// worker.
pub async fn send(app: &App, refund: &Refund) {
    if let Err(error) = call(app, refund).await {
        let id = refund.refund_id;
        tracing::warn!(refund.id = %id, %error, "a refund is repeated later");
    }
}

/// Looks after a refund: learns what the provider has of it, and repeats its call only where the provider has nothing.
///
/// # Errors
/// When the provider gives no answer or the database is away; it is looked after again.
pub async fn look_after(app: &App, refund: &Refund) -> Result<(), Error> {
    let now = app.clock.now();
    let settings = &app.settings;
    // What the provider knows comes with its webhooks and with the sweep as well.
    let longest = match refund.outcome {
        Outcome::Known => Duration::from_std(settings.cadences.sweep_every).unwrap_or(LONGEST),
        _ => settings.longest_pause(),
    };
    let again = now + growing(settings.resolve_after, refund.tries + 1, longest);
    refunds::look_at(app.db.pool(), refund.refund_id, false, again).await?;
    if refund.outcome != Outcome::Known {
        let unanswered = Unanswered {
            subject: refund.refund_id,
            payment_id: refund.payment_id,
            amount: refund.amount,
            since: refund.requested_at.unwrap_or(refund.created_at),
            detail: "the provider has not answered the call that makes the refund, and lists none",
        };
        unanswered::tell_a_person(app, unanswered).await?;
    }
    money_back::ask(app, refund.payment_id).await?;
    let known = refunds::of_payment(app.db.pool(), refund.payment_id).await?;
    let ours = |other: &&Refund| other.refund_id == refund.refund_id;
    let Some(refund) = known.iter().find(ours) else {
        return Ok(());
    };
    if refund.outcome == Outcome::Known || !refund.status.is_open() {
        // It is still on its way there, or has arrived.
        return Ok(());
    }
    if refund.requested_at.is_some_and(|at| now - at > REMEMBERED) {
        // The provider lists no such refund, and has forgotten the key: nothing was ever made of it.
        return give_up(app, refund, "never_made").await;
    }
    call(app, refund).await
}

async fn call(app: &App, refund: &Refund) -> Result<(), Error> {
    let id = refund.refund_id;
    let Some(frozen) = &refund.call else {
        return Ok(());
    };
    let mut frozen = frozen.clone();
    if !chassis::guard!("psp_key") {
        frozen.key = uuid::Uuid::new_v4().to_string();
    }
    match app.charges.psp().refund(&frozen).await {
        Ok(()) => {
            chassis::failpoint!("payment.after_refund_made");
            money_back::ask(app, refund.payment_id).await
        }
        Err(Failure::Refused { code, .. } | Failure::Unfit { code, .. }) => {
            // It may be so because of what somebody else did: that is learned first.
            money_back::ask(app, refund.payment_id).await?;
            give_up(app, refund, &code).await
        }
        Err(failure) => {
            if let Failure::Misconfigured(said) = &failure {
                alarm::raise(alarm::PSP_MISCONFIGURED, Some(refund.payment_id), said);
            }
            tracing::warn!(refund.id = %id, error = %failure, "a refund has no answer");
            let retry_at = app.clock.now() + app.settings.resolve_after;
            refunds::look_at(app.db.pool(), id, true, retry_at).await?;
            Ok(())
        }
    }
}

/// The provider will never make the refund: what it had reserved is free again, and a person hears of it.
async fn give_up(app: &App, refund: &Refund, why: &str) -> Result<(), Error> {
    let mut tx = app.db.begin().await?;
    let Some(mut held) = Held::lock(&mut tx, refund.payment_id).await? else {
        return Ok(());
    };
    let now = app.clock.now();
    let learned = held.file.give_up(refund.refund_id, why, now);
    held.write(&mut tx, &learned, now).await?;
    tx.commit().await?;
    tracing::error!(refund.id = %refund.refund_id, why, "a refund can never be made");
    Ok(())
}
