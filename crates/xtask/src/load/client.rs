//! A donor's side of the platform: the calls of one donation.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use uuid::Uuid;

use super::wire::Server;
use crate::fleet::state::State;

const JSON: (&str, &str) = ("content-type", "application/json");

/// One connection's worth of a donor. Every thread has its own, so that nobody waits for another's connection.
pub struct Client {
    gateway: Server,
    psp: Server,
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
        Self {
            gateway: Server::new(&fleet.gateway),
            psp: Server::new(&fleet.psp),
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
        let (status, body) = self.psp.call(
            &format!("POST /v1/payment_intents/{intent}/confirm"),
            &[("content-type", "application/x-www-form-urlencoded")],
            &format!("client_secret={secret}&payment_method=pm_card_visa"),
        )?;
        if text(&body, "/status").ok() != Some("succeeded") {
            bail!("the provider answered {status}: {body}");
        }
        Ok(())
    }

    /// What the campaign has raised, in minor units.
    pub fn raised(&self, campaign: &str) -> Result<i64> {
        let line = format!("GET /api/campaigns/{campaign}/totals");
        let (status, body) = self.gateway.call(&line, &[], "")?;
        body.pointer("/raised/amount")
            .and_then(Value::as_i64)
            .with_context(|| format!("the totals answered {status}: {body}"))
    }

    /// What each of these campaigns has raised, in minor units; nothing, where no gift was ever heard of.
    pub fn all_raised(&self, campaigns: &[String]) -> Result<Vec<i64>> {
        let line = format!("GET /api/totals?ids={}", campaigns.join(","));
        let (status, body) = self.gateway.call(&line, &[], "")?;
        let data = body["data"].as_array();
        let data = data.with_context(|| format!("the totals answered {status}: {body}"))?;
        let raised = |campaign: &String| {
            let total = data.iter().find(|one| one["campaign_id"] == **campaign);
            let raised = total.and_then(|total| total.pointer("/raised/amount")?.as_i64());
            raised.unwrap_or(0)
        };
        Ok(campaigns.iter().map(raised).collect())
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
        let (status, _) = self.psp.call(&format!("POST {path}"), &[], "")?;
        if !(200..300).contains(&status) {
            bail!("the provider answered {status} to {path}");
        }
        Ok(())
    }

    /// What the provider says, to the merchant where a key is given.
    pub fn psp(&self, path: &str, key: Option<&str>) -> Result<Value> {
        let bearer = key.map(bearer);
        let headers: Vec<_> = bearer
            .iter()
            .map(|it| ("authorization", it.as_str()))
            .collect();
        Ok(self.psp.call(&format!("GET {path}"), &headers, "")?.1)
    }

    /// The body of the success that an admin's call must be.
    pub fn administer(&self, path: &str, token: &str) -> Result<Value> {
        self.post(path, Some(token), &json!({}))?.required()
    }

    /// What an admin reads.
    pub fn read(&self, path: &str, token: &str) -> Result<Value> {
        let headers = [("authorization", &*bearer(token))];
        Ok(self.gateway.call(&format!("GET {path}"), &headers, "")?.1)
    }

    fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Result<Answer> {
        let key = Uuid::new_v4().to_string();
        let bearer = token.map(bearer);
        let mut headers = vec![JSON, ("idempotency-key", &key)];
        headers.extend(bearer.iter().map(|it| ("authorization", it.as_str())));
        let line = format!("POST {path}");
        let (status, body) = self.gateway.call(&line, &headers, &body.to_string())?;
        Ok(Answer { status, body })
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
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
