//! Where calls take effect: one at a time for each intent, kept on disk before anyone hears of it.

use std::{sync::Arc, time::Duration};

use chassis::{clock::Clock, lifecycle::Lifecycle};

use crate::{
    error::ApiError,
    idempotency::{Claim, Keys},
    ids,
    journal::{Journal, Lost},
    machine::{self, Change},
    model::{Answer, CaptureMethod, Event, Fact, Kind, Line, Transaction},
    reply::Reply,
    store::{Slot, Store},
    view::Audience,
    webhooks::Webhooks,
};

/// The provider's working parts.
pub(crate) struct Desk {
    pub(crate) store: Arc<Store>,
    pub(crate) keys: Keys,
    pub(crate) journal: Journal,
    pub(crate) webhooks: Webhooks,
    pub(crate) clock: Clock,
    pub(crate) life: Lifecycle,
    pub(crate) settle_after: Duration,
}

/// Who called, as far as the effect and its reply depend on it.
pub(crate) struct Origin {
    pub(crate) request: Option<String>,
    pub(crate) claim: Option<Claim>,
    pub(crate) audience: Audience,
    pub(crate) expand_charge: bool,
}

impl Desk {
    /// The time in Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().timestamp()
    }

    /// The time in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Keeps a change that begins an intent.
    pub(crate) async fn create(self: &Arc<Self>, origin: Origin, change: Change) -> Reply {
        self.keep(origin, change).await
    }

    /// Changes an intent as `decide` says. Calls for one intent take turns, so that two clicks make one charge.
    pub(crate) async fn act(
        self: &Arc<Self>,
        slot: &Slot,
        origin: Origin,
        decide: impl FnOnce(&Fact) -> Result<Change, ApiError>,
    ) -> Reply {
        let _turn = slot.turn.lock().await;
        match decide(&slot.latest()) {
            Ok(change) => self.keep(origin, change).await,
            Err(refusal) => self.refuse(origin, &refusal).await,
        }
    }

    async fn keep(self: &Arc<Self>, origin: Origin, change: Change) -> Reply {
        let reply = Reply::of(&change, &origin);
        let Origin { request, claim, .. } = origin;
        let answer = claim
            .as_ref()
            .map(|claim| claim.answer(reply.status.as_u16(), reply.body.clone()));
        let fact = self.fact(change, request, answer.clone());
        let Ok(fact) = self.commit(fact).await else {
            return Reply::error(&ApiError::internal(), Audience::Payer);
        };
        if let Some((claim, answer)) = claim.zip(answer) {
            claim.finish(&answer);
        }
        if books_later(&fact) {
            let desk = self.clone();
            let id = fact.intent_id().to_owned();
            self.life.track(async move { desk.book(&id).await });
        }
        reply
    }

    async fn refuse(&self, origin: Origin, refusal: &ApiError) -> Reply {
        let reply = Reply::error(refusal, origin.audience);
        let Some(claim) = origin.claim.filter(|_| refusal.executed) else {
            return reply;
        };
        let answer = claim.answer(reply.status.as_u16(), reply.body.clone());
        let kept = self.journal.append(&Line::Answer(answer.clone())).await;
        if kept.is_err() {
            return Reply::error(&ApiError::internal(), Audience::Payer);
        }
        claim.finish(&answer);
        reply
    }

    fn fact(&self, change: Change, request: Option<String>, answer: Option<Arc<Answer>>) -> Fact {
        let Change {
            kind,
            intent,
            mut charge,
            events,
            ..
        } = change;
        let automatic = intent.terms.capture_method == CaptureMethod::Automatic;
        if let Some(charge) = charge
            .as_mut()
            .filter(|_| kind == Kind::Charged && automatic)
        {
            charge.transaction = Some(self.transaction());
        }
        let event = |name: &&str| Event {
            id: ids::object("evt"),
            name: (*name).to_owned(),
        };
        let events = events.iter().map(event).collect();
        Fact {
            kind,
            at: self.now_ms(),
            intent,
            charge,
            events,
            request,
            answer,
        }
    }

    fn transaction(&self) -> Transaction {
        let wait = i64::try_from(self.settle_after.as_millis()).unwrap_or(i64::MAX);
        let available_at = self.now_ms().saturating_add(wait);
        Transaction {
            id: ids::object("txn"),
            created: self.now(),
            available_at,
        }
    }

    /// Keeps a fact on disk, then shows it, then tells the receiver of webhooks.
    async fn commit(&self, fact: Fact) -> Result<Arc<Fact>, Lost> {
        self.journal.append(&Line::Fact(&fact)).await?;
        let fact = Arc::new(fact);
        self.webhooks.emit(self.store.install(&fact));
        Ok(fact)
    }

    /// Makes the balance transaction of an intent's captured charge, which Stripe does after its reply unless
    /// the capture method is `automatic`.
    pub(crate) async fn book(&self, intent: &str) {
        let Some(slot) = self.store.slot(intent) else {
            return;
        };
        let _turn = slot.turn.lock().await;
        if let Some(change) = machine::book(&slot.latest(), self.transaction()) {
            // When the line is lost the process is ending, and books it at its next start.
            let _ = self.commit(self.fact(change, None, None)).await;
        }
    }
}

/// Whether the fact leaves a captured charge without a balance transaction.
pub(crate) fn books_later(fact: &Fact) -> bool {
    fact.charge
        .as_ref()
        .is_some_and(|charge| charge.captured && charge.transaction.is_none())
}
