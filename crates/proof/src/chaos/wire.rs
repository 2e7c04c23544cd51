//! The wire between people and the fleet: what is asked for is asked again under the same key until it is answered, and
//! the journal has a line for each try.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use chassis::clock::Clock;
use reqwest::{RequestBuilder, StatusCode, redirect};
use serde_json::Value;
use uuid::Uuid;

use super::enough::Acknowledged;
use crate::journal::{Entry, Journal, Kind, Outcome};

/// How long somebody waits for an answer before asking again.
const PATIENCE: Duration = Duration::from_millis(2500);
/// The pause before the second try; it doubles up to [`LONGEST`].
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two tries.
pub(super) const LONGEST: Duration = Duration::from_millis(400);
/// How long somebody goes on asking for one thing.
const PERSISTENCE: Duration = Duration::from_secs(6);

/// Everybody's common connection, and their common journal.
pub(super) struct Wire {
    pub(super) http: reqwest::Client,
    pub(super) acknowledged: Acknowledged,
    journal: Journal,
    clock: Clock,
    next: AtomicU64,
}

/// What is given.
#[derive(Clone, Debug)]
pub(super) struct Gift {
    pub(super) campaign: Uuid,
    pub(super) amount: i64,
    /// For the platform, in minor units; nothing most of the time.
    pub(super) tip: i64,
    pub(super) covers_fee: bool,
    pub(super) email: String,
}

/// Something that somebody wants done, once.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) op: u64,
    pub(super) key: Uuid,
    pub(super) kind: Kind,
    pub(super) gift: Gift,
    pub(super) pledge_id: Option<Uuid>,
    pub(super) payment_id: Option<Uuid>,
    /// What it is about at the provider.
    pub(super) intent: Option<String>,
    /// The pledge that a gift comes after without a word that both are meant.
    pub(super) after: Option<Uuid>,
}

/// What a try came to, or all tries of an operation.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// Whatever was answered at last; null without an answer.
    pub(super) body: Value,
}

impl Answer {
    /// The body of a success.
    pub(super) fn done(self) -> Option<Value> {
        (self.outcome == Outcome::Ok).then_some(self.body)
    }
}

impl Wire {
    /// A wire that writes this journal.
    pub(super) fn new(journal: &Path) -> Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            acknowledged: Acknowledged::default(),
            journal: Journal::create(journal)?,
            clock: Clock::system(),
            next: AtomicU64::new(1),
        })
    }

    /// Something new that is to be done once, about this gift.
    pub(super) fn operation(&self, kind: Kind, gift: Gift) -> Operation {
        Operation {
            op: self.next.fetch_add(1, Ordering::Relaxed),
            key: Uuid::new_v4(),
            kind,
            gift,
            pledge_id: None,
            payment_id: None,
            intent: None,
            after: None,
        }
    }

    /// Something new that is to be done once about a campaign; about all, where that is nil.
    pub(super) fn order(&self, kind: Kind, campaign: Uuid) -> Operation {
        let gift = Gift {
            campaign,
            amount: 0,
            tip: 0,
            covers_fee: false,
            email: String::new(),
        };
        self.operation(kind, gift)
    }

    /// A request of the platform, under the key of its operation.
    pub(super) fn post(&self, url: &str, operation: &Operation) -> RequestBuilder {
        let request = self.http.post(url);
        request.header("idempotency-key", operation.key.to_string())
    }

    /// Tries until the outcome is known or the patience is over.
    pub(super) async fn persist(
        &self,
        operation: &Operation,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer> {
        let mut pause = PAUSE;
        let give_up = Instant::now() + PERSISTENCE;
        loop {
            let answer = self.attempt(operation, request()).await?;
            if answer.outcome != Outcome::Unknown || Instant::now() + pause > give_up {
                return Ok(answer);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Tries once.
    pub(super) async fn attempt(
        &self,
        operation: &Operation,
        request: RequestBuilder,
    ) -> Result<Answer> {
        let sent_at = self.clock.now().timestamp_millis();
        let request = request.build()?;
        let route = format!("{} {}", request.method(), request.url().path());
        let reply = self.http.execute(request).await.ok();
        let status = reply.as_ref().map(reqwest::Response::status);
        let body = match reply {
            Some(reply) => reply.json::<Value>().await.ok(),
            None => None,
        };
        // A reply that breaks off tells nothing.
        let told = status.filter(|_| body.is_some());
        let body = body.unwrap_or_default();
        let code = [&body["code"], &body["error"]["code"]];
        let code = code.into_iter().find_map(Value::as_str).map(str::to_owned);
        let outcome = match told {
            // The bank may let go of it first; the same request tells later.
            Some(StatusCode::ACCEPTED) if operation.kind == Kind::Void => Outcome::Unknown,
            told => outcome(told, code.as_deref()),
        };
        if outcome == Outcome::Ok {
            self.acknowledged.note(operation.kind, operation.op);
        }
        let acknowledged = (outcome == Outcome::Ok).then_some(&body);
        let id =
            |path: &str| -> Option<Uuid> { acknowledged?.pointer(path)?.as_str()?.parse().ok() };
        self.journal.add(&Entry {
            op: operation.op,
            key: operation.key,
            kind: operation.kind,
            sent_at,
            outcome,
            status: status.map(|status| status.as_u16()),
            code,
            campaign_id: operation.gift.campaign,
            amount: operation.gift.amount,
            currency: "USD".to_owned(),
            email: operation.gift.email.clone(),
            pledge_id: operation.pledge_id.or_else(|| id("/pledge/id")),
            payment_id: operation.payment_id.or_else(|| id("/payment_id")),
            intent: match operation.kind {
                Kind::Refund | Kind::Rebuild | Kind::Match => id("/id").map(|id| id.to_string()),
                _ => operation.intent.clone(),
            },
            after: operation.after,
            route,
            trace_id: body["trace_id"].as_str().map(str::to_owned),
        })?;
        Ok(Answer { outcome, body })
    }
}

/// What somebody may conclude. A server that has no time, or is busy with a twin, has not refused; one that has seen too
/// many declines has, for an hour.
fn outcome(status: Option<StatusCode>, code: Option<&str>) -> Outcome {
    match status {
        Some(status) if status.is_success() => Outcome::Ok,
        Some(StatusCode::TOO_MANY_REQUESTS) if code == Some("payment_velocity") => Outcome::Fail,
        Some(StatusCode::TOO_MANY_REQUESTS) => Outcome::Unknown,
        Some(StatusCode::CONFLICT) if code == Some("idempotency_in_progress") => Outcome::Unknown,
        Some(status) if status.is_client_error() => Outcome::Fail,
        _ => Outcome::Unknown,
    }
}
