//! A donor's side of the platform: the calls of one donation.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fleet::state::State;

/// One connection's worth of a donor. Every thread has its own, so that nobody waits for another's connection.
pub struct Client {
    agent: ureq::Agent,
    gateway: String,
    psp: String,
}

/// A gift that the provider has charged.
#[derive(Clone, Copy, Debug)]
pub struct Paid {
    /// Minor units.
    pub amount: i64,
    /// When the first request began.
    pub began: Instant,
    /// When the provider's reply was there.
    pub confirmed: Instant,
}

impl Client {
    /// A client of this fleet.
    pub fn new(fleet: &State) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            agent,
            gateway: fleet.gateway.clone(),
            psp: fleet.psp.clone(),
        }
    }

    /// Pledges, opens the payment and confirms it with a card that is accepted, as a donor's browser does. Nothing, where
    /// the platform refused before there was anything to charge.
    pub fn donate(&self, campaign: &str, amount: i64) -> Result<Option<Paid>> {
        let began = Instant::now();
        let pledge = self.post(
            "/api/pledges",
            None,
            &json!({
                "campaign_id": campaign,
                "amount": { "amount": amount, "currency": "USD" },
                "donor": { "name": "Load", "email": format!("load{}@example.org", amount % 500) },
                "visibility": "PUBLIC",
            }),
        )?;
        let Some(pledge) = pledge.accepted() else {
            return Ok(None);
        };
        let payment = self.post(
            "/api/payments",
            None,
            &json!({ "pledge_id": text(&pledge, "/pledge/id")?, "ticket": text(&pledge, "/ticket")? }),
        )?;
        let Some(payment) = payment.accepted() else {
            return Ok(None);
        };
        self.confirm(text(&payment, "/client_secret")?)?;
        Ok(Some(Paid {
            amount,
            began,
            confirmed: Instant::now(),
        }))
    }

    /// What the donor's browser sends to the provider.
    fn confirm(&self, secret: &str) -> Result<()> {
        let intent = secret.split("_secret_").next().unwrap_or_default();
        let mut reply = self
            .agent
            .post(format!("{}/v1/payment_intents/{intent}/confirm", self.psp))
            .send_form([
                ("client_secret", secret),
                ("payment_method", "pm_card_visa"),
            ])?;
        let status = reply.status();
        let body: Value = reply.body_mut().read_json()?;
        if text(&body, "/status").ok() != Some("succeeded") {
            bail!("the provider answered {status}: {body}");
        }
        Ok(())
    }

    /// What the campaign has raised, in minor units.
    pub fn raised(&self, campaign: &str) -> Result<i64> {
        let url = format!("{}/api/campaigns/{campaign}/totals", self.gateway);
        let mut reply = self.agent.get(url).call()?;
        let status = reply.status();
        let body: Value = reply.body_mut().read_json()?;
        body.pointer("/raised/amount")
            .and_then(Value::as_i64)
            .with_context(|| format!("the totals answered {status}: {body}"))
    }

    /// A session of this account.
    pub fn log_in(&self, email: &str, password: &str) -> Result<String> {
        let session = self
            .post(
                "/api/auth/login",
                None,
                &json!({ "email": email, "password": password }),
            )?
            .required()?;
        text(&session, "/access_token").map(str::to_owned)
    }

    /// An active campaign in USD.
    pub fn open_campaign(&self, token: &str, title: &str) -> Result<String> {
        let campaign = self
            .post(
                "/api/campaigns",
                Some(token),
                &json!({
                    "title": title, "story": "Made by a load run.", "category": "load",
                    "goal": { "amount": 1_000_000, "currency": "USD" },
                }),
            )?
            .required()?;
        let id = text(&campaign, "/id")?;
        for step in [
            format!("/api/campaigns/{id}/submit"),
            format!("/api/admin/campaigns/{id}/approve"),
        ] {
            self.post(&step, Some(token), &json!({}))?.required()?;
        }
        Ok(id.to_owned())
    }

    /// Works the provider's own controls.
    pub fn control(&self, path: &str) -> Result<()> {
        let reply = self
            .agent
            .post(format!("{}{path}", self.psp))
            .send_empty()?;
        if !reply.status().is_success() {
            bail!("the provider answered {} to {path}", reply.status());
        }
        Ok(())
    }

    /// What the provider says, to the merchant where a key is given.
    pub fn psp(&self, path: &str, key: Option<&str>) -> Result<Value> {
        let mut request = self.agent.get(format!("{}{path}", self.psp));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        Ok(request.call()?.body_mut().read_json()?)
    }

    /// The body of the success that an admin's call must be.
    pub fn administer(&self, path: &str, token: &str) -> Result<Value> {
        self.post(path, Some(token), &json!({}))?.required()
    }

    /// What an admin reads.
    pub fn read(&self, path: &str, token: &str) -> Result<Value> {
        let request = self.agent.get(format!("{}{path}", self.gateway));
        let mut reply = request
            .header("authorization", format!("Bearer {token}"))
            .call()?;
        Ok(reply.body_mut().read_json()?)
    }

    fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Result<Answer> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.gateway))
            .header("idempotency-key", Uuid::new_v4().to_string());
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut reply = request.send_json(body)?;
        Ok(Answer {
            status: reply.status().as_u16(),
            body: reply.body_mut().read_json()?,
        })
    }
}

/// What the platform answered.
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    /// The body of a 2xx.
    fn accepted(self) -> Option<Value> {
        (200..300).contains(&self.status).then_some(self.body)
    }

    /// The body of a 2xx; anything else is an error.
    fn required(self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("the platform answered {}: {}", self.status, self.body);
        }
        Ok(self.body)
    }
}

fn text<'a>(body: &'a Value, pointer: &str) -> Result<&'a str> {
    body.pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("no {pointer} in {body}"))
}
