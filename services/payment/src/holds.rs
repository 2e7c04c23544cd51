//! Held money: taken once, whole or in part, or released. What is to be taken is written down before the provider is
//! asked, and asked for again, for the same amount, until it has answered.

use chrono::{DateTime, Duration, Utc};
use common::{
    events::CampaignStatus,
    idempotency::{self, Claim},
    ids::{PaymentId, UserId},
    money::Money,
};

use crate::{
    app::App,
    control::{self, apply, find, holds, locked, note},
    db::{
        campaigns,
        captures::{self, Capture},
        payments,
    },
    domain::{Ending, Frozen, Payment, Seen},
    error::Error,
    provider::Failure,
    unanswered,
};

/// How long before a hold runs out it is dealt with.
const BEFORE: Duration = Duration::hours(1);
/// How long money is held where the provider does not say: a card's usual seven days.
const USUAL: Duration = Duration::days(7);

/// An admin's wish to take held money.
pub struct Wish {
    /// How much; all of it by default. The rest is released.
    pub amount: Option<Money>,
    /// Who asks; nobody where the hold is about to run out.
    pub by: Option<UserId>,
    /// Of the request's key: the same request again is no second one.
    pub claim: Option<Claim>,
}

/// Takes held money, and gives the payment as it stands then: captured, or still authorized where the provider has not
/// answered yet.
///
/// # Errors
/// 404, 409 where nothing is held or another capture was asked for, 422 for an amount beyond what is held or a key that
/// came with another body before, 402 or 422 where the provider refuses for good.
pub async fn capture(app: &App, id: PaymentId, wish: &Wish) -> Result<Payment, Error> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let payment = locked(&mut tx, id).await?;
    let known = captures::find(&mut *tx, id).await?;
    let is_ours = match (&known, &wish.claim) {
        (Some(known), Some(claim)) => is_of(known, claim)?,
        _ => false,
    };
    match known.filter(|known| !known.refused) {
        Some(_) if is_ours => {}
        None if holds(&payment) => {
            let capture = Capture {
                amount: amount(wish, &payment)?,
                asked_by: wish.by,
                scope: wish.claim.as_ref().map(|claim| claim.scope().to_vec()),
                fingerprint: wish
                    .claim
                    .as_ref()
                    .map(|claim| claim.fingerprint().to_vec()),
                tries: 0,
                refused: false,
            };
            let retry_at = now + app.settings.resolve_after;
            captures::write(&mut tx, id, &capture, now, retry_at).await?;
        }
        _ => return Err(Error::InvalidTransition),
    }
    tx.commit().await?;
    chassis::failpoint!("payment.after_capture_written");
    settle(app, id).await
}

/// Whether a capture was asked for under this key.
fn is_of(known: &Capture, claim: &Claim) -> Result<bool, Error> {
    if known.scope.as_deref() != Some(claim.scope().as_slice()) {
        return Ok(false);
    }
    let body = known.fingerprint.as_deref();
    if body.is_some_and(|body| body != claim.fingerprint()) {
        return Err(idempotency::Error::KeyReused.into());
    }
    Ok(true)
}

/// How much of what is held is wished for, in minor units.
fn amount(wish: &Wish, payment: &Payment) -> Result<i64, Error> {
    let Some(wanted) = wish.amount else {
        return Ok(payment.authorized);
    };
    let fits = wanted.currency == payment.amount.currency
        && (1..=payment.authorized).contains(&wanted.minor);
    fits.then_some(wanted.minor).ok_or(Error::CaptureAmount)
}

/// Carries out what is written down. While charging is paused the provider is only asked how the money stands.
///
/// # Errors
/// 404, 402 or 422 where the provider refuses for good, or what the database says. A provider that does not answer is
/// none.
pub async fn settle(app: &App, id: PaymentId) -> Result<Payment, Error> {
    let pool = app.db.pool();
    let payment = find(app, id).await?;
    let written = captures::find(pool, id).await?;
    let (Some(capture), Some(intent)) = (written, &payment.provider_ref) else {
        return Ok(payment);
    };
    if capture.refused || !payment.state.is_live() {
        captures::settle(pool, id).await?;
        return Ok(payment);
    }
    let paused = app.switch.is_paused(pool).await?;
    let again = control::again(app, app.clock.now(), capture.tries);
    match ask(app, id, intent, &capture, paused).await {
        Ok(seen) => {
            let moved = apply(app, id, &seen, cause(&seen, &capture)).await?;
            if !moved.state.is_live() {
                captures::settle(pool, id).await?;
            } else if !paused {
                captures::ask_again(pool, id, again).await?;
            }
            Ok(moved)
        }
        Err(Failure::Refused { declined, code, .. }) => {
            captures::refuse(pool, id, &code).await?;
            unanswered::tell_of_refusal(app, &payment, "capture", &code).await?;
            tracing::error!(payment.id = %id, %code, "held money cannot be taken");
            Err(if declined {
                Error::Declined(code)
            } else {
                Error::Refused(code)
            })
        }
        Err(failure) => {
            note(id, &failure);
            captures::ask_again(pool, id, again).await?;
            unanswered::tell_of_tries(app, &payment, "capture", capture.tries).await?;
            find(app, id).await
        }
    }
}

fn cause(seen: &Seen, capture: &Capture) -> &'static str {
    match (seen.status.as_str(), capture.asked_by) {
        ("succeeded", Some(_)) => "admin.captured",
        ("succeeded", None) => "hold.captured",
        _ => "provider.answered",
    }
}

/// Asks the provider for the money, and gives the intent as it stands after that. From the second try on it looks
/// first: an intent is captured once, however often that is asked for. While charging is paused it only looks.
async fn ask(
    app: &App,
    id: PaymentId,
    intent: &str,
    capture: &Capture,
    paused: bool,
) -> Result<Seen, Failure> {
    let psp = app.charges.psp();
    if paused || capture.tries > 0 {
        let seen = psp.intent(intent).await?.seen();
        if paused || seen.status != "requires_capture" {
            return Ok(seen);
        }
    }
    let key = match capture.tries {
        ..=0 => format!("capture:{id}"),
        again => format!("capture:{id}:{again}"),
    };
    let call = Frozen {
        key,
        request: format!("amount_to_capture={}", capture.amount).into_bytes(),
    };
    match psp.capture(intent, &call).await {
        Ok(answer) => {
            chassis::failpoint!("payment.after_captured");
            Ok(answer.seen())
        }
        Err(Failure::Unfit { .. }) => Ok(psp.intent(intent).await?.seen()),
        Err(failure) => Err(failure),
    }
}

/// Releases held money for an admin, and gives the payment as it stands then.
///
/// # Errors
/// 404, 409 where nothing is held or its capture was asked for, and not refused for good.
pub async fn void(app: &App, id: PaymentId) -> Result<Payment, Error> {
    let mut tx = app.db.begin().await?;
    let payment = locked(&mut tx, id).await?;
    let asked = captures::find(&mut *tx, id).await?;
    tx.rollback().await?;
    // Asked again after it was done, it is done.
    let voided = payment.ending == Some(Ending::Admin);
    let is_asked = asked.is_some_and(|asked| !asked.refused);
    if is_asked || !(holds(&payment) || voided) {
        return Err(Error::InvalidTransition);
    }
    control::cancel(app, id, Ending::Admin).await
}

/// Learns until when a hold lasts, and notes when it is to be dealt with. Gives whether that is known now.
///
/// # Errors
/// What the database says. A provider that does not answer is none: it is asked again.
pub async fn learn(app: &App, payment: &Payment) -> Result<bool, Error> {
    let Some(intent) = &payment.provider_ref else {
        return Ok(false);
    };
    let until = match app.charges.psp().capture_before(intent).await {
        Ok(told) => told.and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0)),
        Err(failure) => {
            note(payment.payment_id, &failure);
            return Ok(false);
        }
    };
    let until = until.unwrap_or(payment.updated_at + USUAL);
    payments::hold_until(app.db.pool(), payment.payment_id, until - BEFORE).await?;
    Ok(true)
}

/// Deals with a hold that is about to run out: the money is taken, unless its campaign was called off or stopped. Gives
/// whether that was ordered now.
///
/// # Errors
/// What the database says.
pub async fn close(app: &App, payment: &Payment) -> Result<bool, Error> {
    let campaign = campaigns::find(app.db.pool(), payment.campaign_id).await?;
    let stopped = campaign.is_some_and(|campaign| {
        matches!(
            campaign.status,
            CampaignStatus::Cancelled | CampaignStatus::Suspended
        )
    });
    let wish = Wish {
        amount: None,
        by: None,
        claim: None,
    };
    let done = if stopped {
        control::cancel(app, payment.payment_id, Ending::CampaignClosed).await
    } else if app.switch.is_paused(app.db.pool()).await? {
        return Ok(false);
    } else {
        capture(app, payment.payment_id, &wish).await
    };
    match done {
        Ok(_) => Ok(true),
        // Its capture is being asked for already, or it has moved on.
        Err(Error::InvalidTransition) => Ok(false),
        Err(error) => Err(error),
    }
}
