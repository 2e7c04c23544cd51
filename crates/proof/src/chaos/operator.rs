//! What the people of the platform do meanwhile: an admin takes what is held or lets it go, gives money back and calls a
//! campaign off, and the banks rule on complaints.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chassis::clock::Clock;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use uuid::Uuid;
use xtask::fleet::Secrets;

use super::{
    client::{Client, Pledged},
    wire::{Gift, Operation},
    world::World,
};
use crate::journal::{Kind, Outcome};

/// The pause after each thing done.
const PAUSE: Duration = Duration::from_millis(150);
/// How long after the load the operator goes on calling the campaign off and ruling.
const LAST_TRIES: Duration = Duration::from_mins(2);

/// An admin who has signed in.
pub(super) struct Office {
    pub(super) token: String,
    gateway: String,
    http: reqwest::Client,
}

impl Office {
    /// Signs in as the first administrator.
    pub(super) async fn open(gateway: &str, secrets: &Secrets) -> Result<Self> {
        let stranger = Self {
            token: String::new(),
            gateway: gateway.to_owned(),
            http: reqwest::Client::builder().no_proxy().build()?,
        };
        let who = json!({ "email": secrets.admin_email, "password": secrets.admin_password });
        let login = stranger.post("/api/auth/login", &who).await?;
        let token = login["access_token"].as_str();
        let token = token.context("the login gave no token")?.to_owned();
        Ok(Self { token, ..stranger })
    }

    /// Makes a campaign that takes gifts, by this policy of capture.
    pub(super) async fn campaign(&self, capture: &str) -> Result<Uuid> {
        let ends_at = Clock::system().now() + chrono::Duration::days(30);
        let campaign = json!({
            "title": "A school that will not be built",
            "story": "The village wants a school, and will find another sponsor before the money is together.",
            "category": "education",
            "goal": { "amount": 5_000_000, "currency": "USD" },
            "ends_at": ends_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "min_amount": 100,
            "capture": capture,
        });
        let made = self.post("/api/campaigns", &campaign).await?;
        let id = made["id"].as_str().or(made["campaign"]["id"].as_str());
        let id = id.context("the campaign has no id")?;
        self.post(&format!("/api/campaigns/{id}/submit"), &json!({}))
            .await?;
        let why = json!({ "reason": "it is to be called off" });
        self.post(&format!("/api/admin/campaigns/{id}/approve"), &why)
            .await?;
        Ok(id.parse()?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.gateway));
        let mut request = request.header("idempotency-key", Uuid::new_v4().to_string());
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        let reply = request.json(body).send().await?;
        let status = reply.status();
        let text = reply.text().await?;
        anyhow::ensure!(status.is_success(), "{path} was answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

/// Whoever works while donors give.
pub(super) struct Operator {
    client: Arc<Client>,
    gateway: String,
    provider: String,
    admin: String,
    psp_key: String,
    calling_off: Operation,
    /// What was decided about gifts whose money is held.
    decisions: HashMap<Uuid, Operation>,
    random: StdRng,
}

impl Operator {
    /// Somebody who writes the donors' journal too.
    pub(super) fn new(world: &World, client: Arc<Client>, seed: u64) -> Self {
        Self {
            calling_off: order(&client, Kind::CallOff, world.doomed),
            client,
            gateway: world.gateway.clone(),
            provider: world.provider.clone(),
            admin: world.admin.clone(),
            psp_key: world.psp_key.clone(),
            decisions: HashMap::new(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Refunds, decides about what is held, rules and has the totals built anew until the time is over, and from the
    /// middle on calls one campaign off.
    pub(super) async fn work(mut self, middle: Instant) -> Result<()> {
        let mut is_off = false;
        while self.client.is_needed() {
            if !is_off && Instant::now() > middle {
                is_off = self.call_off().await?;
            }
            if let Some(pledged) = self.client.paid.all().choose(&mut self.random) {
                let all = pledged.gift.amount;
                let some = self.random.random_range(1..=all);
                let whole = self.random.random_bool(0.4);
                let amount = if whole { all } else { some };
                self.refund(pledged, amount).await?;
            }
            if let Some(held) = self.client.held.all().choose(&mut self.random)
                && self.decide(held).await?
            {
                // From now on it can be given back.
                self.client.paid.add(held);
            }
            if self.random.random_bool(0.3) {
                let _away = self.rule().await;
            }
            if self.random.random_bool(0.05) {
                self.rebuild().await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let last = Instant::now() + LAST_TRIES;
        while Instant::now() < last {
            is_off = is_off || self.call_off().await?;
            if is_off && self.rule().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.client
            .contradict("nobody took the order to call a campaign off".to_owned());
        Ok(())
    }

    /// Gives back this much of a gift.
    async fn refund(&self, pledged: &Pledged, amount: i64) -> Result<()> {
        let mut operation = self.client.about(pledged, Kind::Refund, None);
        operation.gift.amount = amount;
        let body = json!({
            "amount": { "amount": amount, "currency": "USD" },
            "reason": "asked for by the donor",
        });
        let path = format!("/api/payments/{}/refunds", pledged.payment_id);
        let request = || self.post(&path, &operation).json(&body);
        self.client.wire.persist(&operation, request).await?;
        Ok(())
    }

    /// Takes what is held of a gift, or a part of it, or lets it go: of one gift always the same, under the same key.
    /// Says whether it was taken.
    async fn decide(&mut self, held: &Pledged) -> Result<bool> {
        let payment = held.payment_id;
        let word = payment.as_u128();
        let kind = if word.is_multiple_of(4) {
            Kind::Void
        } else {
            Kind::Capture
        };
        let amount = match word % 4 {
            // All of it.
            0 | 1 => 0,
            _ => 1 + i64::try_from(word % 97).unwrap_or_default(),
        };
        let decided = self.decisions.entry(payment).or_insert_with(|| {
            let mut operation = self.client.about(held, kind, None);
            operation.gift.amount = amount;
            operation
        });
        let operation = decided.clone();
        let path = |what| format!("/api/admin/payments/{payment}/{what}");
        let request = if kind == Kind::Void {
            self.post(&path("void"), &operation)
        } else {
            let body = match amount {
                0 => json!({}),
                _ => json!({ "amount": { "amount": amount, "currency": "USD" } }),
            };
            self.post(&path("capture"), &operation).json(&body)
        };
        let answer = self.client.wire.attempt(&operation, request).await?;
        Ok(kind == Kind::Capture && answer.outcome == Outcome::Ok)
    }

    /// Whether the campaign is known to be called off.
    async fn call_off(&self) -> Result<bool> {
        let operation = &self.calling_off;
        let path = format!("/api/campaigns/{}/cancel", operation.gift.campaign);
        let reason = json!({ "reason": "the school has found another sponsor" });
        let request = self.post(&path, operation).json(&reason);
        let answer = self.client.wire.attempt(operation, request).await?;
        Ok(answer.outcome == Outcome::Ok)
    }

    /// Has the totals of all campaigns built anew; while that is being done, it is refused.
    async fn rebuild(&self) -> Result<()> {
        let operation = order(&self.client, Kind::Rebuild, Uuid::nil());
        let request = || self.post("/api/admin/totals/rebuild", &operation);
        self.client.wire.persist(&operation, request).await?;
        Ok(())
    }

    fn post(&self, path: &str, operation: &Operation) -> RequestBuilder {
        let request = self
            .client
            .wire
            .http
            .post(format!("{}{path}", self.gateway));
        let request = request.header("idempotency-key", operation.key.to_string());
        request.bearer_auth(&self.admin)
    }

    /// The banks decide about what was complained of: the half is lost.
    async fn rule(&mut self) -> Result<()> {
        let url = format!("{}/v1/disputes?limit=100", self.provider);
        let http = &self.client.wire.http;
        let list = http.get(url).bearer_auth(&self.psp_key).send().await?;
        let list: Value = list.error_for_status()?.json().await?;
        let all = list["data"].as_array().into_iter().flatten();
        let open = all.filter(|dispute| dispute["status"] == "needs_response");
        for id in open.filter_map(|dispute| dispute["id"].as_str()) {
            let status = if self.random.random_bool(0.5) {
                "won"
            } else {
                "lost"
            };
            let url = format!("{}/_sim/disputes/{id}", self.provider);
            let ruled = self.client.wire.http.post(url);
            ruled.json(&json!({ "status": status })).send().await?;
        }
        Ok(())
    }
}

/// Something that is to be done once about a campaign, or about all.
fn order(client: &Client, kind: Kind, campaign: Uuid) -> Operation {
    let gift = Gift {
        campaign,
        amount: 0,
        tip: 0,
        covers_fee: false,
        email: String::new(),
    };
    client.wire.operation(kind, gift)
}
