//! The donors' side of the wire: what is sent, under which key, and what the journal says about it.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use chassis::clock::Clock;
use reqwest::{RequestBuilder, StatusCode, redirect};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{enough::Acknowledged, gifts::Gifts, world::World};
use crate::journal::{Entry, Journal, Kind, Outcome};

/// How long a client waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_millis(2500);
/// The pause before the second try; it doubles up to [`LONGEST`].
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(400);
/// The card whose bank asks its owner first.
pub(super) const ASKING_CARD: &str = "pm_card_threeDSecure2Required";
/// How long a donor goes on asking for one thing.
const PERSISTENCE: Duration = Duration::from_secs(6);

/// The donors' common client.
pub(super) struct Client {
    http: reqwest::Client,
    gateway: String,
    provider: String,
    journal: Journal,
    clock: Clock,
    next: AtomicU64,
    /// Gifts whose card was taken: what the operator may give back.
    pub(super) paid: Gifts,
    /// Gifts whose money is held: what the operator may take or let go.
    pub(super) held: Gifts,
    /// The campaign whose gifts are only held.
    patient: Uuid,
    admin: String,
    hours: Hours,
    acknowledged: Acknowledged,
    contradictions: Mutex<Vec<String>>,
}

/// How long donors give.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hours {
    /// Until then in any case.
    pub(super) until: Instant,
    /// And until then, where what was acknowledged proves nothing yet.
    pub(super) at_most: Instant,
}

/// Something that a donor wants done, once.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    op: u64,
    key: Uuid,
    kind: Kind,
    gift: Gift,
    pledge_id: Option<Uuid>,
    payment_id: Option<Uuid>,
    intent: Option<String>,
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

/// A pledge as its donor knows it.
#[derive(Clone, Debug)]
pub(super) struct Pledged {
    pub(super) gift: Gift,
    pub(super) pledge_id: Uuid,
    pub(super) payment_id: Uuid,
    ticket: String,
    pub(super) guest_token: String,
}

/// What a try came to.
struct Answer {
    outcome: Outcome,
    body: Value,
}

impl Client {
    /// A client that writes this journal.
    pub(super) fn new(world: &World, journal: &Path, hours: Hours) -> Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            gateway: world.gateway.clone(),
            provider: world.provider.clone(),
            journal: Journal::create(journal)?,
            clock: Clock::system(),
            next: AtomicU64::new(1),
            paid: Gifts::default(),
            held: Gifts::default(),
            patient: world.patient,
            admin: world.admin.clone(),
            hours,
            acknowledged: Acknowledged::default(),
            contradictions: Mutex::default(),
        })
    }

    /// Whether everybody still gives.
    pub(super) fn is_open(&self) -> bool {
        Instant::now() < self.hours.until
    }

    /// Whether it is still time to give back, and for those who stay to give.
    pub(super) fn is_needed(&self) -> bool {
        let in_time = Instant::now() < self.hours.at_most;
        self.is_open() || (in_time && !self.acknowledged.is_enough())
    }

    /// Answers that cannot both be true, as far as donors have noticed.
    pub(super) fn contradictions(&self) -> Vec<String> {
        let noted = self.contradictions.lock();
        noted.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A pledge that is about to be made. Its donor has an address that nobody else has.
    pub(super) fn wish(
        &self,
        campaign: Uuid,
        amount: i64,
        tip: i64,
        covers_fee: bool,
    ) -> Operation {
        let op = self.next.fetch_add(1, Ordering::Relaxed);
        let gift = Gift {
            campaign,
            amount,
            tip,
            covers_fee,
            email: format!("donor-{op}@example.org"),
        };
        Operation {
            op,
            key: Uuid::new_v4(),
            kind: Kind::Pledge,
            gift,
            pledge_id: None,
            payment_id: None,
            intent: None,
        }
    }

    /// Sends a wish, again and again with the same key, until it is answered; none when it is refused, or never
    /// answered.
    pub(super) async fn pledge(&self, wish: &Operation) -> Result<Option<Pledged>> {
        let mut body = json!({
            "campaign_id": wish.gift.campaign,
            "amount": { "amount": wish.gift.amount, "currency": "USD" },
            "donor": { "name": "Ada", "email": wish.gift.email },
            "visibility": if wish.op.is_multiple_of(3) { "ANONYMOUS" } else { "PUBLIC" },
            "cover_fee": wish.gift.covers_fee,
        });
        if wish.gift.tip > 0 {
            body["tip"] = json!({ "amount": wish.gift.tip, "currency": "USD" });
        }
        let answer = self
            .persist(wish, || {
                let request = self.http.post(format!("{}/api/pledges", self.gateway));
                request
                    .header("idempotency-key", wish.key.to_string())
                    .json(&body)
            })
            .await?;
        Ok(answer.and_then(|body| pledged(wish, &body)))
    }

    /// Opens the payment of a pledge under a key of its own; gives the intent's client secret.
    pub(super) async fn open(&self, pledged: &Pledged) -> Result<Option<String>> {
        let operation = self.about(pledged, Kind::Payment, None);
        let body = json!({ "pledge_id": pledged.pledge_id, "ticket": pledged.ticket });
        let answer = self
            .persist(&operation, || {
                let request = self.http.post(format!("{}/api/payments", self.gateway));
                request
                    .header("idempotency-key", operation.key.to_string())
                    .json(&body)
            })
            .await?;
        Ok(answer.and_then(|body| Some(body["client_secret"].as_str()?.to_owned())))
    }

    /// Pays at the provider, as the provider's library in a browser does. Says whether the card was taken.
    pub(super) async fn confirm(
        &self,
        pledged: &Pledged,
        secret: &str,
        card: &str,
    ) -> Result<bool> {
        let intent = secret.split("_secret_").next().unwrap_or_default();
        let holds = pledged.gift.campaign == self.patient;
        let kind = match card {
            ASKING_CARD => Kind::Challenge,
            _ if holds => Kind::Hold,
            _ => Kind::Confirm,
        };
        let operation = self.about(pledged, kind, Some(intent));
        let url = format!("{}/v1/payment_intents/{intent}/confirm", self.provider);
        let form = [("client_secret", secret), ("payment_method", card)];
        let answer = self
            .persist(&operation, || self.http.post(&url).form(&form))
            .await?;
        if answer.is_some() {
            let kept = if holds { &self.held } else { &self.paid };
            kept.add(pledged);
        }
        Ok(answer.is_some())
    }

    /// Proves to the bank who pays, as the page does that the provider sends the payer to. Clicking again does no harm.
    pub(super) async fn prove(&self, secret: &str) {
        let intent = secret.split("_secret_").next().unwrap_or_default();
        let url = format!("{}/authenticate/{intent}", self.provider);
        let form = [("client_secret", secret), ("action", "authenticate")];
        for _ in 0..5 {
            let sent = self.http.post(&url).form(&form).send().await;
            if sent.is_ok_and(|reply| reply.status().is_success()) {
                return;
            }
            tokio::time::sleep(LONGEST).await;
        }
    }

    /// Calls a gift off.
    pub(super) async fn cancel(&self, pledged: &Pledged) -> Result<()> {
        let operation = self.about(pledged, Kind::Cancel, None);
        let url = format!("{}/api/pledges/{}/cancel", self.gateway, pledged.pledge_id);
        let request = || {
            let request = self.http.post(&url);
            request
                .header("idempotency-key", operation.key.to_string())
                .header("x-guest-token", &pledged.guest_token)
        };
        self.persist(&operation, request).await?;
        Ok(())
    }

    /// Gives back this much of a gift, as an admin.
    pub(super) async fn refund(&self, pledged: &Pledged, amount: i64) -> Result<()> {
        let mut operation = self.about(pledged, Kind::Refund, None);
        operation.gift.amount = amount;
        let body = json!({
            "amount": { "amount": amount, "currency": "USD" },
            "reason": "asked for by the donor",
        });
        let url = format!(
            "{}/api/payments/{}/refunds",
            self.gateway, pledged.payment_id
        );
        let request = || {
            let request = self.http.post(&url).bearer_auth(&self.admin).json(&body);
            request.header("idempotency-key", operation.key.to_string())
        };
        self.persist(&operation, request).await?;
        Ok(())
    }

    /// Reads a page, for the load that it is; a guest shows the token.
    pub(super) async fn look(&self, path: &str, guest: Option<&str>) {
        let mut request = self.http.get(format!("{}{path}", self.gateway));
        if let Some(token) = guest {
            request = request.header("x-guest-token", token);
        }
        let _answer = request.send().await;
    }

    /// Notes two answers that cannot both be true.
    pub(super) fn contradict(&self, what: String) {
        let mut noted = self.contradictions.lock();
        noted.as_mut().map_or_else(|_| (), |noted| noted.push(what));
    }

    fn about(&self, pledged: &Pledged, kind: Kind, intent: Option<&str>) -> Operation {
        Operation {
            op: self.next.fetch_add(1, Ordering::Relaxed),
            key: Uuid::new_v4(),
            kind,
            gift: pledged.gift.clone(),
            pledge_id: Some(pledged.pledge_id),
            payment_id: Some(pledged.payment_id),
            intent: intent.map(str::to_owned),
        }
    }

    /// Tries until the outcome is known or the donor's time is over; gives the body of a success.
    async fn persist(
        &self,
        operation: &Operation,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Option<Value>> {
        let mut pause = PAUSE;
        let give_up = Instant::now() + PERSISTENCE;
        loop {
            let Answer { outcome, body } = self.attempt(operation, request()).await?;
            match outcome {
                Outcome::Ok => return Ok(Some(body)),
                Outcome::Fail => return Ok(None),
                Outcome::Unknown if Instant::now() + pause > give_up => return Ok(None),
                Outcome::Unknown => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    async fn attempt(&self, operation: &Operation, request: RequestBuilder) -> Result<Answer> {
        let sent_at = self.clock.now().timestamp_millis();
        let (status, body) = match request.send().await {
            Ok(reply) => {
                let status = reply.status();
                // A reply that breaks off tells nothing.
                match reply.json::<Value>().await {
                    Ok(body) => (Some(status), body),
                    Err(_) => (None, Value::Null),
                }
            }
            Err(_) => (None, Value::Null),
        };
        let code = [&body["code"], &body["error"]["code"]];
        let code = code.into_iter().find_map(Value::as_str).map(str::to_owned);
        let outcome = outcome(status, code.as_deref());
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
                Kind::Refund => id("/id").map(|id| id.to_string()),
                _ => operation.intent.clone(),
            },
        })?;
        Ok(Answer { outcome, body })
    }
}

/// What a client may conclude. A server that has no time, or is busy with a twin, has not refused.
fn outcome(status: Option<StatusCode>, code: Option<&str>) -> Outcome {
    match status {
        Some(status) if status.is_success() => Outcome::Ok,
        Some(StatusCode::TOO_MANY_REQUESTS) => Outcome::Unknown,
        Some(StatusCode::CONFLICT) if code == Some("idempotency_in_progress") => Outcome::Unknown,
        Some(status) if status.is_client_error() => Outcome::Fail,
        _ => Outcome::Unknown,
    }
}

fn pledged(wish: &Operation, body: &Value) -> Option<Pledged> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Pledged {
        gift: wish.gift.clone(),
        pledge_id: body["pledge"]["id"].as_str()?.parse().ok()?,
        payment_id: body["payment_id"].as_str()?.parse().ok()?,
        ticket: text(&body["ticket"])?,
        guest_token: text(&body["guest_token"])?,
    })
}
