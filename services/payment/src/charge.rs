//! The one intent of a payment: made once at the provider, however often and from wherever it is asked for.
//!
//! The call is frozen when the payment is made, noted before it goes out, made outside of any transaction, and its
//! answer is recorded by compare-and-set. Whoever repeats it, a second click, another process, or the resolver
//! after a crash, sends the same key and the same bytes, and the provider answers all of them with the same intent.

use chassis::{clock::Clock, db::Db, lifecycle::Lifecycle, telemetry};
use chrono::{DateTime, Duration, Utc};
use common::{
    auth::tokens::Ticket,
    events::Event,
    group_commit::Writer,
    idempotency::{self, Claim, Reply},
    ids::{PaymentId, PledgeId},
    outbox,
    payment::{Event as Happened, State},
};
use secrecy::ExposeSecret;

use crate::{
    alarm,
    config::Psp,
    db::{
        exceptions, lookup,
        payments::{self, NewPayment, Saved},
    },
    domain::{Called, Decline, Exception, Kind, Origin, Outcome, Payment, Told},
    error::Error,
    opening::{New, Opened, Opening, Openings},
    provider::{Failure, Intent, Stripe},
    recording::{Recorded, Recording, Recordings},
    transition::{self, Made},
};

/// Opens intents.
pub struct Charges {
    db: Db,
    clock: Clock,
    psp: Stripe,
    openings: Writer<Openings>,
    recordings: Writer<Recordings>,
    checkout_url: String,
    livemode: bool,
    resolve_after: Duration,
}

/// Somebody who may pay for a pledge.
pub enum Payer {
    /// With a ticket, which holds the facts that a payment is made of.
    Ticket(Box<Ticket>),
    /// By another right.
    Pledge(PledgeId),
}

/// What the payer's request comes to.
pub enum Begun {
    /// The pledge's payment.
    Found(Box<Called>),
    /// An earlier reply to the same request, as it was stored.
    Replayed(Reply),
}

/// The provider's answer about a payment's intent.
pub struct Asked {
    /// The payment as it stood before the call.
    pub payment: Payment,
    /// Its intent.
    pub intent: Intent,
}

impl Charges {
    /// Prepares the way to the provider, which gets `rate` requests a second; nothing is sent yet. `resolve_after` is how long a call may go without an
    /// answer before it is repeated.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn new(
        config: &Psp,
        rate: u32,
        resolve_after: Duration,
        clock: &Clock,
        db: &Db,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let openings = Openings::new(clock.clone(), resolve_after);
        Ok(Self {
            db: db.clone(),
            clock: clock.clone(),
            psp: Stripe::new(config, rate, clock)?,
            openings: Writer::spawn("openings", openings, db, life),
            recordings: Writer::spawn("recordings", Recordings, db, life),
            checkout_url: config.checkout_url.trim_end_matches('/').to_owned(),
            livemode: config.is_live(),
            resolve_after,
        })
    }

    /// The provider.
    pub fn psp(&self) -> &Stripe {
        &self.psp
    }

    /// Finds or makes the pledge's payment, and notes that its intent is about to be asked for.
    ///
    /// # Errors
    /// 404 or 410 where there is none and none can be made.
    pub async fn begin(
        &self,
        payer: Payer,
        claim: Option<Claim>,
        client: Option<String>,
    ) -> Result<Begun, Error> {
        let now = self.clock.now();
        let (pledge, new, absent) = match payer {
            Payer::Pledge(pledge) => (pledge, None, Error::NotThereYet),
            Payer::Ticket(ticket) => {
                let lives = ticket.pledge_expires_at > now;
                let new = lives.then(|| self.new_payment(&ticket, client.clone(), now));
                (ticket.pledge_id, new, Error::PledgeExpired)
            }
        };
        let opening = Opening {
            claim,
            pledge,
            new,
            client,
        };
        match self.openings.commit(opening).await? {
            Opened::Found(called) => Ok(Begun::Found(called)),
            Opened::Replayed(reply) => Ok(Begun::Replayed(reply)),
            Opened::KeyReused => Err(idempotency::Error::KeyReused.into()),
            Opened::Absent => Err(absent),
        }
    }

    /// The intent of a payment that can be paid; a new one is not recorded yet.
    ///
    /// # Errors
    /// 409 or 410 for a payment that cannot be paid, 402 or 422 when the provider refuses for good, 503 when it does
    /// not answer.
    pub async fn ask(&self, called: Box<Called>) -> Result<Asked, Error> {
        let payment = &called.payment;
        if !payment.may_be_paid() {
            return Err(Error::Closed);
        }
        if payment.state == State::Pending && payment.expires_at <= self.clock.now() {
            return Err(Error::PledgeExpired);
        }
        let asked = self.ask_anyway(called).await?;
        match asked.intent.status.as_str() {
            // Its webhook is on its way.
            "canceled" => Err(Error::Closed),
            _ => Ok(asked),
        }
    }

    /// The intent of a payment, whether or not it can still be paid; a new one is not recorded yet.
    ///
    /// # Errors
    /// 402 or 422 when the provider refuses for good, 503 when it does not answer, or with another intent than the one
    /// asked for.
    pub async fn ask_anyway(&self, called: Box<Called>) -> Result<Asked, Error> {
        let Called { payment, mut call } = *called;
        let id = payment.payment_id;
        if !chassis::guard!("psp_key") {
            call.key = uuid::Uuid::new_v4().to_string();
        }
        if let Some(known) = &payment.provider_ref {
            return match self.psp.intent(known).await {
                Ok(intent) => self.check(payment, intent).await,
                Err(failure) => {
                    note(id, &failure);
                    Err(Error::PspUnavailable)
                }
            };
        }
        match self.psp.open(&call).await {
            Ok(intent) => {
                chassis::failpoint!("payment.after_intent_created");
                self.check(payment, intent).await
            }
            Err(failure) => Err(self.unanswered(id, failure).await?),
        }
    }

    /// Records the intent, unless it was recorded before, together with the reply that tells of it. Gives the stored
    /// reply of a twin that was faster.
    ///
    /// # Errors
    /// When another intent is recorded already: that must not be, and is alarmed.
    pub async fn finish(
        &self,
        asked: &Asked,
        answer: Option<(Claim, Reply)>,
    ) -> Result<Option<Reply>, Error> {
        let payment_id = asked.payment.payment_id;
        let is_new = asked.payment.provider_ref.is_none();
        let recording = Recording {
            payment_id,
            intent: is_new.then(|| asked.intent.id.clone()),
            answer,
        };
        match self.recordings.commit(recording).await? {
            Recorded::Stands => Ok(None),
            Recorded::Replayed(reply) => Ok(Some(reply)),
            Recorded::KeyReused => Err(idempotency::Error::KeyReused.into()),
            Recorded::SecondIntent => {
                let kind = alarm::SECOND_INTENT;
                alarm::raise(kind, Some(payment_id), "another intent for the same key");
                Err(Error::Internal(
                    "a second intent for one payment".to_owned(),
                ))
            }
        }
    }

    /// Records an intent that was found in the provider's list.
    ///
    /// # Errors
    /// When it is not the one asked for, or another is recorded already.
    pub async fn adopt(&self, payment: Payment, intent: Intent) -> Result<(), Error> {
        let asked = self.check(payment, intent).await?;
        self.finish(&asked, None).await?;
        Ok(())
    }

    fn new_payment(&self, ticket: &Ticket, client: Option<String>, now: DateTime<Utc>) -> New {
        let (mut payment, created) = Payment::first(origin(ticket), now);
        // It is made because somebody is about to pay.
        payment.outcome = Outcome::Requested;
        New {
            created: outbox::Row::of(&created, payment.traceparent.clone()),
            payment: NewPayment {
                frozen: payment.frozen(),
                payment,
                retry_at: Some(now + self.resolve_after),
                client,
            },
        }
    }

    /// Where the donor pays the intent.
    pub fn checkout_url(&self, intent: &Intent) -> String {
        let secret = [("client_secret", intent.client_secret.expose_secret())];
        let query = serde_urlencoded::to_string(secret).unwrap_or_default();
        format!("{}/{}?{query}", self.checkout_url, intent.id)
    }

    /// The provider's answers are checked as its webhooks are: another intent than the one asked for is a matter for a
    /// person, and nobody is sent to pay it.
    async fn check(&self, payment: Payment, intent: Intent) -> Result<Asked, Error> {
        let asked_for = (payment.amount.minor, payment.amount.currency.as_str());
        let currency = intent.currency.to_uppercase();
        if (intent.amount, currency.as_str()) == asked_for && intent.livemode == self.livemode {
            return Ok(Asked { payment, intent });
        }
        let id = payment.payment_id;
        let why = "not the amount, currency or mode asked for";
        alarm::raise(alarm::INTENT_MISMATCH, Some(id), why);
        let matter = Exception {
            kind: Kind::Conflict,
            subject: id.to_string(),
            payment_id: Some(id),
            amount: Some(payment.amount),
            detail: format!("the provider's intent {}: {why}", intent.id),
            due_at: None,
        };
        let mut tx = self.db.begin().await?;
        exceptions::open(&mut tx, &[matter], self.clock.now()).await?;
        tx.commit().await?;
        Err(Error::IntentMismatch)
    }

    /// What a call without an intent means for the payment, and for the reply.
    async fn unanswered(&self, id: PaymentId, failure: Failure) -> Result<Error, Error> {
        note(id, &failure);
        match failure {
            Failure::Refused {
                declined,
                code,
                message,
            } => {
                let decline = Decline {
                    code: code.clone(),
                    message,
                    ..Decline::default()
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
            Failure::Unavailable(_)
            | Failure::Misconfigured(_)
            | Failure::Missing
            | Failure::Unfit { .. } => Ok(Error::PspUnavailable),
        }
    }

    /// The provider will never open the intent: the payment has failed, unless an intent was recorded meanwhile.
    async fn fail(&self, id: PaymentId, decline: &Decline) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let locked = lookup::lock(&mut tx, &[id], &[]).await?;
        let unopened = locked
            .into_iter()
            .find(|payment| payment.provider_ref.is_none());
        let Some(mut payment) = unopened else {
            return Ok(());
        };
        let was = payment.version;
        let now = self.clock.now();
        let told = Told {
            decline: Some(decline),
            ..Told::default()
        };
        let Ok(change) = payment.hear(Happened::Failed, told, now) else {
            return Ok(());
        };
        payment.outcome = Outcome::Known;
        let saved = Saved {
            payment: &payment,
            was,
        };
        let trace_id = telemetry::trace_id();
        let made = Made::by("provider.refused", trace_id.as_deref(), &payment, &change);
        transition::write(&mut tx, &[saved], &[made]).await?;
        tx.commit().await?;
        tracing::info!(payment.id = %id, kind = change.event.kind(), "the payment can never be made");
        Ok(())
    }
}

fn note(id: PaymentId, failure: &Failure) {
    match failure {
        Failure::Misconfigured(said) => alarm::raise(alarm::PSP_MISCONFIGURED, Some(id), said),
        other => tracing::warn!(payment.id = %id, error = %other, "no intent from the provider"),
    }
}

fn origin(ticket: &Ticket) -> Origin {
    Origin {
        pledge_id: ticket.pledge_id,
        campaign_id: ticket.campaign_id,
        donor_id: ticket.donor_id,
        donor_ref: ticket.donor_ref.clone(),
        contact_id: ticket.contact_id,
        amount: ticket.amount,
        extras: ticket.extras,
        capture: ticket.capture,
        expires_at: ticket.pledge_expires_at,
        traceparent: ticket.traceparent.clone().or_else(telemetry::traceparent),
    }
}
