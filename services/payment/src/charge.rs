//! The one intent of a payment: made once at the provider, however often and from wherever it is asked for.
//!
//! The call is frozen when the payment is made, noted before it goes out, made outside of any transaction, and its
//! answer is recorded by compare-and-set. Whoever repeats it, a second click, another process, or the resolver
//! after a crash, sends the same key and the same bytes, and the provider answers all of them with the same intent.

use chassis::telemetry;
use common::{
    auth::tokens::Ticket,
    events::Event,
    ids::PaymentId,
    outbox,
    payment::{Event as Happened, State},
};
use secrecy::ExposeSecret;
use sqlx::PgExecutor;

use crate::{
    App, alarm,
    db::{
        payments::{self, NewPayment, Saved},
        transitions::{self, Recorded},
    },
    domain::{Decline, Origin, Outcome, Payment, Told},
    error::Error,
    provider::{Failure, Intent},
};

/// The provider's answer about a payment's intent.
pub struct Asked {
    /// The payment as it stood before the call.
    pub payment: Payment,
    /// Its intent.
    pub intent: Intent,
}

/// The pledge's payment, made from the ticket unless the pledge's event was faster.
pub async fn from_ticket(app: &App, ticket: Ticket) -> Result<Payment, Error> {
    let pledge = ticket.pledge_id;
    if let Some(payment) = payments::find_by_pledge(app.db.pool(), pledge).await? {
        return Ok(payment);
    }
    let now = app.clock.now();
    if ticket.pledge_expires_at <= now {
        return Err(Error::PledgeExpired);
    }
    let (payment, created) = Payment::first(origin(ticket, telemetry::traceparent()), now);
    let new = NewPayment {
        frozen: payment.frozen(),
        payment,
        announced: false,
    };
    let mut tx = app.db.begin().await?;
    let made = payments::insert_new(&mut tx, std::slice::from_ref(&new)).await?;
    if made.contains(&new.payment.payment_id) {
        outbox::enqueue(&mut tx, &created, new.payment.traceparent.clone()).await?;
        tx.commit().await?;
        return Ok(new.payment);
    }
    tx.rollback().await?;
    // The event, or another click, was faster, and has committed.
    let found = payments::find_by_pledge(app.db.pool(), pledge).await?;
    found.ok_or(Error::NotThereYet)
}

/// The intent of a payment that can be paid.
///
/// # Errors
/// 409 or 410 for a payment that cannot, 402 or 422 when the provider refuses for good, 503 when it does not answer.
pub async fn intent_of(app: &App, payment: Payment) -> Result<Asked, Error> {
    if !payment.state.is_live() {
        return Err(Error::Closed);
    }
    if payment.state == State::Pending && payment.expires_at <= app.clock.now() {
        return Err(Error::PledgeExpired);
    }
    let asked = match payment.provider_ref.clone() {
        Some(known) => again(app, payment, &known).await?,
        None => open(app, payment).await?,
    };
    match asked.intent.status.as_str() {
        // Its webhook is on its way.
        "canceled" => Err(Error::Closed),
        _ => Ok(asked),
    }
}

/// Opens the intent, or asks for it again by the same key. The answer is not recorded yet.
pub async fn open(app: &App, payment: Payment) -> Result<Asked, Error> {
    let id = payment.payment_id;
    let now = app.clock.now();
    let retry_at = now + app.settings.resolve_after;
    let Some(call) = payments::request(app.db.pool(), id, now, retry_at).await? else {
        // Its webhook or a twin was faster than this look at it.
        let payment = payments::find(app.db.pool(), id)
            .await?
            .ok_or(Error::NotFound)?;
        let known = payment.provider_ref.clone().ok_or(Error::Closed)?;
        return again(app, payment, &known).await;
    };
    let intent = match app.psp.open(&call).await {
        Ok(intent) => intent,
        Err(failure) => return Err(unopened(app, payment, failure).await?),
    };
    chassis::failpoint!("payment.after_intent_created");
    belongs(app, payment, intent)
}

/// Records the intent on whatever the payment has become meanwhile, which is given back.
pub async fn record(executor: impl PgExecutor<'_>, asked: &Asked) -> Result<Payment, Error> {
    let id = asked.payment.payment_id;
    let payment = payments::record_intent(executor, id, &asked.intent.id).await?;
    let payment = payment.ok_or(Error::NotFound)?;
    if payment.provider_ref.as_deref() != Some(&asked.intent.id) {
        alarm::raise(
            alarm::SECOND_INTENT,
            Some(id),
            "the provider gave another intent for the same key",
        );
        return Err(Error::Internal(
            "a second intent for one payment".to_owned(),
        ));
    }
    Ok(payment)
}

/// Where the donor pays.
pub fn checkout_url(app: &App, intent: &Intent) -> String {
    let secret =
        serde_urlencoded::to_string([("client_secret", intent.client_secret.expose_secret())]);
    format!(
        "{}/{}?{}",
        app.settings.checkout_url,
        intent.id,
        secret.unwrap_or_default()
    )
}

async fn again(app: &App, payment: Payment, known: &str) -> Result<Asked, Error> {
    match app.psp.intent(known).await {
        Ok(intent) => belongs(app, payment, intent),
        Err(failure) => {
            note(payment.payment_id, &failure);
            Err(Error::PspUnavailable)
        }
    }
}

/// The provider's answers are checked as its webhooks are.
fn belongs(app: &App, payment: Payment, intent: Intent) -> Result<Asked, Error> {
    let amount = (
        intent.amount,
        intent.currency.to_uppercase(),
        intent.livemode,
    );
    let asked_for = (
        payment.amount.minor,
        payment.amount.currency.as_str().to_owned(),
        app.settings.livemode,
    );
    if amount != asked_for {
        let id = Some(payment.payment_id);
        alarm::raise(
            alarm::INTENT_MISMATCH,
            id,
            "the provider's intent is not what we asked for",
        );
        return Err(Error::Internal(
            "the provider's intent is not the one asked for".to_owned(),
        ));
    }
    Ok(Asked { payment, intent })
}

/// What a call without an intent means for the payment. The inner error is the reply.
async fn unopened(app: &App, payment: Payment, failure: Failure) -> Result<Error, Error> {
    note(payment.payment_id, &failure);
    match failure {
        Failure::Refused {
            declined,
            code,
            message,
        } => {
            let decline = Decline {
                code: code.clone(),
                decline_code: None,
                message,
            };
            fail(app, payment.payment_id, &decline).await?;
            Ok(if declined {
                Error::Declined(code)
            } else {
                Error::Refused(code)
            })
        }
        Failure::Unknown(_) => {
            let retry_at = app.clock.now() + app.settings.resolve_after;
            payments::unanswered(app.db.pool(), payment.payment_id, retry_at).await?;
            Ok(Error::PspUnavailable)
        }
        Failure::Unavailable(_) | Failure::Misconfigured(_) => Ok(Error::PspUnavailable),
    }
}

fn note(id: PaymentId, failure: &Failure) {
    match failure {
        Failure::Misconfigured(said) => alarm::raise(alarm::PSP_MISCONFIGURED, Some(id), said),
        other => tracing::warn!(payment.id = %id, error = %other, "no intent from the provider"),
    }
}

/// The provider will never open the intent: the payment has failed, unless an intent was recorded meanwhile.
async fn fail(app: &App, id: PaymentId, decline: &Decline) -> Result<(), Error> {
    let mut tx = app.db.begin().await?;
    let locked = payments::lock(&mut tx, &[id], &[]).await?;
    let Some(mut payment) = locked
        .into_iter()
        .find(|payment| payment.provider_ref.is_none())
    else {
        return Ok(());
    };
    let was = payment.version;
    let now = app.clock.now();
    let told = Told {
        minor: 0,
        decline: Some(decline),
    };
    let Ok(change) = payment.hear(Happened::Failed, told, now) else {
        return Ok(());
    };
    payment.outcome = Outcome::Known;
    payments::save(
        &mut tx,
        &[Saved {
            payment: &payment,
            was,
        }],
    )
    .await?;
    let trace_id = telemetry::trace_id();
    let steps: Vec<_> = change
        .transitions
        .iter()
        .map(|step| Recorded {
            payment_id: id,
            version: payment.version,
            step: *step,
            cause: "provider.refused",
            psp_event: None,
            trace_id: trace_id.as_deref(),
            at: now,
        })
        .collect();
    transitions::insert_all(&mut tx, &steps).await?;
    outbox::enqueue(&mut tx, &change.event, payment.traceparent.clone()).await?;
    tx.commit().await?;
    tracing::info!(payment.id = %id, kind = change.event.kind(), "the provider refused to open an intent");
    Ok(())
}

fn origin(ticket: Ticket, traceparent: Option<String>) -> Origin {
    Origin {
        pledge_id: ticket.pledge_id,
        campaign_id: ticket.campaign_id,
        donor_id: ticket.donor_id,
        donor_ref: ticket.donor_ref,
        contact_id: ticket.contact_id,
        amount: ticket.amount,
        capture: ticket.capture,
        expires_at: ticket.pledge_expires_at,
        traceparent,
    }
}
