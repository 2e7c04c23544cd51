//! What the people of the platform do meanwhile: an admin takes what is held or lets it go, gives money back and calls a
//! campaign off, and the banks rule on complaints.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chassis::clock::Clock;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use uuid::Uuid;
use xtask::fleet::Secrets;

use super::{
    client::{Client, Pledged},
    world::World,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(2500);
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
    http: reqwest::Client,
    gateway: String,
    provider: String,
    admin: String,
    psp_key: String,
    doomed: Uuid,
    key: Uuid,
    random: StdRng,
}

impl Operator {
    /// Somebody who writes the donors' journal too.
    pub(super) fn new(world: &World, client: Arc<Client>, seed: u64) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        Ok(Self {
            client,
            http: http.build()?,
            gateway: world.gateway.clone(),
            provider: world.provider.clone(),
            admin: world.admin.clone(),
            psp_key: world.psp_key.clone(),
            doomed: world.doomed,
            key: Uuid::new_v4(),
            random: StdRng::seed_from_u64(seed),
        })
    }

    /// Refunds and rules until the time is over, and from the middle on calls one campaign off.
    pub(super) async fn work(mut self, middle: Instant) -> Result<()> {
        let mut is_off = false;
        while self.client.is_needed() {
            if !is_off && Instant::now() > middle {
                is_off = self.call_off().await;
            }
            if let Some(pledged) = self.client.paid.all().choose(&mut self.random) {
                let all = pledged.gift.amount;
                let some = self.random.random_range(1..=all);
                let whole = self.random.random_bool(0.4);
                let amount = if whole { all } else { some };
                self.client.refund(pledged, amount).await?;
            }
            if let Some(held) = self.client.held.all().choose(&mut self.random)
                && self.decide(held).await
            {
                // From now on it can be given back.
                self.client.paid.add(held);
            }
            if self.random.random_bool(0.3) {
                let _away = self.rule().await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let last = Instant::now() + LAST_TRIES;
        while Instant::now() < last {
            is_off = is_off || self.call_off().await;
            if is_off && self.rule().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.client
            .contradict("nobody took the order to call a campaign off".to_owned());
        Ok(())
    }

    /// Takes what is held of a gift, or a part of it, or lets it go: of one gift always the same, under the same key.
    /// Says whether it was taken.
    async fn decide(&self, held: &Pledged) -> bool {
        let word = held.payment_id.as_u128();
        let part = 1 + i64::try_from(word % 97).unwrap_or_default();
        let (what, body) = match word % 4 {
            0 => ("void", None),
            1 => ("capture", Some(json!({}))),
            _ => (
                "capture",
                Some(json!({ "amount": { "amount": part, "currency": "USD" } })),
            ),
        };
        let payment = held.payment_id;
        let url = format!("{}/api/admin/payments/{payment}/{what}", self.gateway);
        let key = Uuid::new_v5(&payment, what.as_bytes());
        let request = self.http.post(url).bearer_auth(&self.admin);
        let request = request.header("idempotency-key", key.to_string());
        let takes = body.is_some();
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let sent = request.send().await;
        takes && sent.is_ok_and(|reply| reply.status().is_success())
    }

    /// Whether the campaign is known to be called off.
    async fn call_off(&self) -> bool {
        let url = format!("{}/api/campaigns/{}/cancel", self.gateway, self.doomed);
        let request = self.http.post(url).bearer_auth(&self.admin);
        let request = request.header("idempotency-key", self.key.to_string());
        let reason = json!({ "reason": "the school has found another sponsor" });
        let sent = request.json(&reason).send().await;
        sent.is_ok_and(|reply| reply.status().is_success())
    }

    /// The banks decide about what was complained of: the half is lost.
    async fn rule(&mut self) -> Result<()> {
        let url = format!("{}/v1/disputes?limit=100", self.provider);
        let list = self.http.get(url).bearer_auth(&self.psp_key).send().await?;
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
            let ruled = self
                .http
                .post(url)
                .json(&json!({ "status": status }))
                .send();
            ruled.await?;
        }
        Ok(())
    }
}
