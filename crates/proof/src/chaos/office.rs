//! The office of an admin: signed in, and again before the session ends.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chassis::clock::Clock;
use serde_json::{Value, json};
use uuid::Uuid;
use xtask::fleet::Secrets;

/// How long a token is used: it lives for fifteen minutes.
const FRESH: Duration = Duration::from_mins(10);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An admin who has signed in.
#[derive(Clone)]
pub(super) struct Office {
    token: String,
    signed_in: Instant,
    who: Value,
    gateway: String,
    http: reqwest::Client,
}

impl Office {
    /// Signs in as the first administrator.
    pub(super) async fn open(gateway: &str, secrets: &Secrets) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        let mut office = Self {
            token: String::new(),
            signed_in: Instant::now(),
            who: json!({ "email": secrets.admin_email, "password": secrets.admin_password }),
            gateway: gateway.to_owned(),
            http: http.build()?,
        };
        office.sign_in().await?;
        Ok(office)
    }

    /// The access token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Signs in again where the token is no longer fresh. Who does not get in now does so later.
    pub(super) async fn renew(&mut self) {
        if self.signed_in.elapsed() > FRESH {
            let _away = self.sign_in().await;
        }
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

    /// Has the provider's account matched with the books, and gives the run.
    pub(super) async fn match_account(&self) -> Result<Uuid> {
        let run = self
            .post("/api/admin/reconciliation/runs", &json!({}))
            .await?;
        let id = run["id"].as_str().context("the run has no id")?;
        Ok(id.parse()?)
    }

    async fn sign_in(&mut self) -> Result<()> {
        let begun = Instant::now();
        let login = self.post("/api/auth/login", &self.who).await?;
        let token = login["access_token"].as_str();
        token
            .context("the login gave no token")?
            .clone_into(&mut self.token);
        self.signed_in = begun;
        Ok(())
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
        ensure!(status.is_success(), "{path} was answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}
