//! The one intent of a payment: made once at the provider, however often and from wherever it is asked for.
//!
//! The call is frozen when the payment is made, noted before it goes out, made outside of any transaction, and its
//! answer is recorded by compare-and-set. Whoever repeats it, a second click, another process, or the resolver
//! after a crash, sends the same key and the same bytes, and the provider answers all of them with the same intent.

use chassis::{clock::Clock, db::Db, telemetry};
use chrono::Duration;
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
    alarm,
    config::Psp,
    db::{
        payments::{self, NewPayment, Saved},
        transitions::{self, Recorded},
    },
    domain::{Decline, Origin, Outcome, Payment, Told},
    error::Error,
    provider::{Failure, Intent, Stripe},
};

/// Opens intents.
pub struct Charges {
    db: Db,
    clock: Clock,
    psp: Stripe,
    checkout_url: String,
    livemode: bool,
    resolve_after: Duration,
}

/// The provider's answer about a payment's intent.
pub struct Asked {
    /// The payment as it stood before the call.
    pub payment: Payment,
    /// Its intent.
    pub intent: Intent,
}

impl Charges {
    /// Prepares the way to the provider; nothing is sent yet. `resolve_after` is how long a call may go without an
    /// answer before it is repeated.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn new(
        db: &Db,
        clock: &Clock,
        config: &Psp,
        resolve_after: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            db: db.clone(),
            clock: clock.clone(),
            psp: Stripe::new(config, clock)?,
            checkout_url: config.checkout_url.trim_end_matches('/').to_owned(),
            livemode: config.is_live(),
            resolve_after,
        })
    }

    /// The pledge's payment, made from the ticket unless the pledge's event was faster.
    ///
    /// # Errors
    /// 410 for a pledge that has lapsed unpaid.
    pub async fn by_ticket(&self, ticket: Ticket) -> Result<Payment, Error> {
        let pledge = ticket.pledge_id;
        if let Some(payment) = payments::find_by_pledge(self.db.pool(), pledge).await? {
            return Ok(payment);
        }
        let now = self.clock.now();
        if ticket.pledge_expires_at <= now {
            return Err(Error::PledgeExpired);
        }
        let (payment, created) = Payment::first(origin(ticket, telemetry::traceparent()), now);
        let new = NewPayment {
            frozen: payment.frozen(),
            payment,
            announced: false,
        };
        let mut tx = self.db.begin().await?;
        let made = payments::insert_new(&mut tx, std::slice::from_ref(&new)).await?;
        if made.contains(&new.payment.payment_id) {
            outbox::enqueue(&mut tx, &created, new.payment.traceparent.clone()).await?;
            tx.commit().await?;
            return Ok(new.payment);
        }
        tx.rollback().await?;
        // The event, or another click, was faster, and has committed.
        let found = payments::find_by_pledge(self.db.pool(), pledge).await?;
        found.ok_or(Error::NotThereYet)
    }

    /// The intent of a payment that can be paid. A new one is not recorded yet.
    ///
    /// # Errors
    /// 409 or 410 for a payment that cannot be paid, 402 or 422 when the provider refuses for good, 503 when it does
    /// not answer.
    pub async fn intent_of(&self, payment: Payment) -> Result<Asked, Error> {
        if !payment.state.is_live() {
            return Err(Error::Closed);
        }
        if payment.state == State::Pending && payment.expires_at <= self.clock.now() {
            return Err(Error::PledgeExpired);
        }
        let asked = match payment.provider_ref.clone() {
            Some(known) => self.again(payment, &known).await?,
            None => self.open(payment).await?,
        };
        match asked.intent.status.as_str() {
            // Its webhook is on its way.
            "canceled" => Err(Error::Closed),
            _ => Ok(asked),
        }
    }

    /// Opens the intent, or asks for it again by the same key, whether or not it can still be paid. It is not
    /// recorded yet.
    ///
    /// # Errors
    /// 402 or 422 when the provider refuses for good, 503 when it does not answer.
    pub async fn open(&self, payment: Payment) -> Result<Asked, Error> {
        let id = payment.payment_id;
        let now = self.clock.now();
        let retry_at = now + self.resolve_after;
        let Some(call) = payments::request(self.db.pool(), id, now, retry_at).await? else {
            // Its webhook or a twin was faster than this look at it.
            let payment = payments::find(self.db.pool(), id).await?;
            let payment = payment.ok_or(Error::NotFound)?;
            let known = payment.provider_ref.clone().ok_or(Error::Closed)?;
            return self.again(payment, &known).await;
        };
        let intent = match self.psp.open(&call).await {
            Ok(intent) => intent,
            Err(failure) => return Err(self.unopened(id, failure).await?),
        };
        chassis::failpoint!("payment.after_intent_created");
        self.check(payment, intent)
    }

    /// Where the donor pays the intent.
    pub fn checkout_url(&self, intent: &Intent) -> String {
        let secret = [("client_secret", intent.client_secret.expose_secret())];
        let query = serde_urlencoded::to_string(secret).unwrap_or_default();
        format!("{}/{}?{query}", self.checkout_url, intent.id)
    }

    async fn again(&self, payment: Payment, known: &str) -> Result<Asked, Error> {
        match self.psp.intent(known).await {
            Ok(intent) => self.check(payment, intent),
            Err(failure) => {
                note(payment.payment_id, &failure);
                Err(Error::PspUnavailable)
            }
        }
    }

    /// The provider's answers are checked as its webhooks are.
    fn check(&self, payment: Payment, intent: Intent) -> Result<Asked, Error> {
        let asked_for = (payment.amount.minor, payment.amount.currency.as_str());
        let currency = intent.currency.to_uppercase();
        if (intent.amount, currency.as_str()) == asked_for && intent.livemode == self.livemode {
            return Ok(Asked { payment, intent });
        }
        let id = Some(payment.payment_id);
        alarm::raise(
            alarm::INTENT_MISMATCH,
            id,
            "not the amount, currency or mode asked for",
        );
        Err(Error::Internal(
            "the provider's intent is not the one asked for".to_owned(),
        ))
    }

    /// What a call without an intent means for the payment, and for the reply.
    async fn unopened(&self, id: PaymentId, failure: Failure) -> Result<Error, Error> {
        note(id, &failure);
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
                self.fail(id, &decline).await?;
                Ok(if declined {
                    Error::Declined(code)
                } else {
                    Error::Refused(code)
                })
            }
            Failure::Unknown(_) | Failure::Broken(_) | Failure::Running(_) => {
                let retry_at = self.clock.now() + self.resolve_after;
                payments::unanswered(self.db.pool(), id, retry_at).await?;
                Ok(Error::PspUnavailable)
            }
            Failure::Unavailable(_) | Failure::Misconfigured(_) => Ok(Error::PspUnavailable),
        }
    }

    /// The provider will never open the intent: the payment has failed, unless an intent was recorded meanwhile.
    async fn fail(&self, id: PaymentId, decline: &Decline) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let locked = payments::lock(&mut tx, &[id], &[]).await?;
        let unopened = locked
            .into_iter()
            .find(|payment| payment.provider_ref.is_none());
        let Some(mut payment) = unopened else {
            return Ok(());
        };
        let was = payment.version;
        let now = self.clock.now();
        let told = Told {
            minor: 0,
            decline: Some(decline),
        };
        let Ok(change) = payment.hear(Happened::Failed, told, now) else {
            return Ok(());
        };
        payment.outcome = Outcome::Known;
        let saved = Saved {
            payment: &payment,
            was,
        };
        payments::save(&mut tx, &[saved]).await?;
        let trace_id = telemetry::trace_id();
        let recorded = |step: &_| Recorded {
            payment_id: id,
            version: payment.version,
            step: *step,
            cause: "provider.refused",
            psp_event: None,
            trace_id: trace_id.as_deref(),
            at: now,
        };
        let steps: Vec<_> = change.transitions.iter().map(recorded).collect();
        transitions::insert_all(&mut tx, &steps).await?;
        outbox::enqueue(&mut tx, &change.event, payment.traceparent.clone()).await?;
        tx.commit().await?;
        tracing::info!(payment.id = %id, kind = change.event.kind(), "the payment can never be made");
        Ok(())
    }
}

/// Records the intent, unless it was known before, on whatever the payment has become meanwhile, which is given back.
///
/// # Errors
/// When another intent is recorded already: that must not be, and is alarmed.
pub async fn record(executor: impl PgExecutor<'_>, asked: &Asked) -> Result<Payment, Error> {
    if asked.payment.provider_ref.is_some() {
        return Ok(asked.payment.clone());
    }
    let id = asked.payment.payment_id;
    let payment = payments::record_intent(executor, id, &asked.intent.id).await?;
    let payment = payment.ok_or(Error::NotFound)?;
    if payment.provider_ref.as_deref() != Some(&asked.intent.id) {
        alarm::raise(
            alarm::SECOND_INTENT,
            Some(id),
            "another intent for the same key",
        );
        return Err(Error::Internal(
            "a second intent for one payment".to_owned(),
        ));
    }
    Ok(payment)
}

fn note(id: PaymentId, failure: &Failure) {
    match failure {
        Failure::Misconfigured(said) => alarm::raise(alarm::PSP_MISCONFIGURED, Some(id), said),
        other => tracing::warn!(payment.id = %id, error = %other, "no intent from the provider"),
    }
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
