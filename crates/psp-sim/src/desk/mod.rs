//! Where calls take effect: one at a time for each intent, kept on disk before anyone hears of it.

mod payouts;
mod rate;
mod time;

use std::{sync::Arc, time::Duration};

use chassis::{clock::Clock, lifecycle::Lifecycle};

use crate::{
    config::Rules,
    error::ApiError,
    faults::{Mishap, Mishaps},
    idempotency::{Claim, Keys},
    ids,
    journal::{Journal, Lost},
    machine::{self, Bank, Change},
    model::{Answer, Event, Fact, Line},
    reply::Reply,
    store::{Slot, Store},
    view::Audience,
    webhooks::Webhooks,
};

pub(crate) use payouts::PayoutOrder;
pub(crate) use rate::Rate;

/// The provider's working parts.
pub(crate) struct Desk {
    pub(crate) store: Arc<Store>,
    pub(crate) keys: Keys,
    pub(crate) journal: Journal,
    pub(crate) webhooks: Webhooks,
    pub(crate) mishaps: Mishaps,
    pub(crate) clock: Clock,
    pub(crate) life: Lifecycle,
    pub(crate) seed: u64,
    pub(crate) settle_after: Duration,
    pub(crate) rules: Rules,
    /// Where a browser finds this provider.
    pub(crate) public_url: String,
    pub(crate) rate: Rate,
    /// Held by whoever makes a payout, so that no transaction is paid out twice.
    pub(crate) till: tokio::sync::Mutex<()>,
}

/// Who called, as far as the effect and its reply depend on it.
pub(crate) struct Origin {
    pub(crate) request: Option<String>,
    /// The path that the merchant called; a browser's calls and what happens by itself have none.
    pub(crate) path: Option<String>,
    pub(crate) claim: Option<Claim>,
    pub(crate) audience: Audience,
    pub(crate) expand_charge: bool,
}

impl Origin {
    /// Nobody's call: a click on a page of the provider, one of the simulator's controls, or the time.
    pub(crate) fn own() -> Self {
        Self {
            request: None,
            path: None,
            claim: None,
            audience: Audience::Merchant,
            expand_charge: false,
        }
    }
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

    pub(crate) fn bank(&self) -> Bank<'_> {
        Bank {
            now_ms: self.now_ms(),
            settle_after: self.settle_after,
            rules: &self.rules,
            public_url: &self.public_url,
        }
    }

    /// Keeps a change that begins an intent.
    pub(crate) async fn create(self: &Arc<Self>, origin: Origin, change: Change) -> Reply {
        self.keep(origin, change).await
    }

    /// Changes an intent as `decide` says. Calls for one intent take turns, so that two clicks make one charge, and
    /// what the time has done to it comes first.
    pub(crate) async fn act(
        self: &Arc<Self>,
        slot: &Slot,
        origin: Origin,
        decide: impl FnOnce(&Fact, &Bank<'_>) -> Result<Change, ApiError>,
    ) -> Reply {
        let _turn = slot.turn.lock().await;
        if self.catch_up(slot).await.is_err() {
            return Reply::error(&ApiError::internal(), Audience::Payer);
        }
        match decide(&slot.latest(), &self.bank()) {
            Ok(change) => self.keep(origin, change).await,
            Err(refusal) => self.refuse(origin, &refusal).await,
        }
    }

    async fn keep(self: &Arc<Self>, origin: Origin, change: Change) -> Reply {
        let mishap = origin
            .path
            .as_deref()
            .and_then(|path| self.mishaps.befall(path));
        let reply = match mishap {
            Some(Mishap::Error) => Reply::error(&ApiError::internal(), origin.audience),
            Some(Mishap::Timeout) => Reply::of(&change, &origin, self.now_ms()).unheard(),
            None => Reply::of(&change, &origin, self.now_ms()),
        };
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
        Fact {
            kind: change.kind,
            at: self.now_ms(),
            intent: change.intent,
            charge: change.charge,
            events: self.events(change.events),
            request,
            answer,
        }
    }

    fn events(&self, told: Vec<(&'static str, Option<String>)>) -> Vec<Event> {
        let comes_about = |(name, _): &(&str, _)| !self.mishaps.forgets(name);
        let now = self.now();
        let event = |(name, about): (&str, _)| Event {
            id: ids::object("evt", now),
            name: name.to_owned(),
            about,
        };
        told.into_iter().filter(comes_about).map(event).collect()
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
        if let Some(change) = machine::book(&slot.latest(), &self.bank()) {
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
