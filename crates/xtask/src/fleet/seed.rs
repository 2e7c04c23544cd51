//! The demo campaign, made through the public API like any other.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{Months, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Secrets;
use crate::interrupt;

/// How long the fleet may take to answer its first requests.
const PATIENCE: Duration = Duration::from_mins(1);

/// The id of the first active campaign, if there is any.
pub fn first_active_campaign(gateway: &str) -> Result<Option<String>> {
    let list = Api::new(gateway).get("/api/campaigns?status=ACTIVE&limit=100")?;
    let found = list["data"]
        .as_array()
        .context("the list of campaigns has no data")?
        .iter()
        .find(|campaign| campaign["status"] == "ACTIVE")
        .and_then(|campaign| campaign["id"].as_str());
    Ok(found.map(str::to_owned))
}

/// The id of an active campaign that takes gifts; makes one, as the first administrator, where there is none.
pub fn demo_campaign(gateway: &str, secrets: &Secrets) -> Result<String> {
    let id = match first_active_campaign(gateway)? {
        Some(id) => id,
        None => new_campaign(gateway, secrets)?,
    };
    until_it_takes_gifts(gateway, &id)?;
    Ok(id)
}

fn new_campaign(gateway: &str, secrets: &Secrets) -> Result<String> {
    let mut api = Api::new(gateway);
    let login = api.post(
        "/api/auth/login",
        &json!({ "email": secrets.admin_email, "password": secrets.admin_password }),
    )?;
    let token = login["access_token"]
        .as_str()
        .context("the login gave no access token")?;
    api.token = Some(token.to_owned());
    let campaign = api.post("/api/campaigns", &demo())?;
    let id = campaign["id"]
        .as_str()
        .or_else(|| campaign["campaign"]["id"].as_str())
        .context("the new campaign has no id")?
        .to_owned();
    api.post(&format!("/api/campaigns/{id}/submit"), &json!({}))?;
    api.post(
        &format!("/api/admin/campaigns/{id}/approve"),
        &json!({ "reason": "the demo campaign of a new installation" }),
    )?;
    Ok(id)
}

/// Waits until the pledge service has heard of the campaign. It is asked with a currency that the campaign does not take:
/// an unknown campaign is 404, a known one refuses the currency, and nothing is stored either way.
fn until_it_takes_gifts(gateway: &str, id: &str) -> Result<()> {
    let api = Api::new(gateway);
    let campaign = api.get(&format!("/api/campaigns/{id}"))?;
    let goal = campaign.get("campaign").unwrap_or(&campaign)["goal"].clone();
    let other = if goal["currency"] == "XAF" {
        "XOF"
    } else {
        "XAF"
    };
    let probe = json!({
        "campaign_id": id,
        "amount": { "amount": 10_000, "currency": other },
        "donor": { "name": "Nobody", "email": "nobody@careforall.example" },
        "visibility": "ANONYMOUS",
    });
    let heard = interrupt::poll(PATIENCE, || {
        let key = Uuid::new_v4().to_string();
        let request = api.agent.post(format!("{gateway}/api/pledges"));
        let status = request
            .header("Idempotency-Key", &key)
            .send_json(&probe)?
            .status();
        if status == 422 {
            return Ok(Some(()));
        }
        // The limits of the gateway may hold for us as well.
        std::thread::sleep(Duration::from_millis(100));
        Ok(None)
    })?;
    heard.with_context(|| {
        format!("the pledge service does not hear of campaign {id}; is Kafka well?")
    })
}

fn demo() -> Value {
    #[expect(
        clippy::disallowed_methods,
        reason = "a command line tool has no chassis::clock; the end date is relative to now"
    )]
    let ends_at = Utc::now() + Months::new(3);
    json!({
        "title": "A well for Lalibela",
        "story": "Six hundred families walk two hours for water. A drilled well with a solar pump ends that.",
        "category": "water",
        "goal": { "amount": 5_000_000, "currency": "USD" },
        "ends_at": ends_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "min_amount": 100,
        "capture": "automatic",
    })
}

/// The public API, as a patient client sees it.
pub(crate) struct Api {
    base: String,
    /// Whom it calls as; nobody in particular, where there is none.
    pub(crate) token: Option<String>,
    agent: ureq::Agent,
}

impl Api {
    pub(crate) fn new(base: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            base: base.to_owned(),
            token: None,
            agent,
        }
    }

    fn get(&self, path: &str) -> Result<Value> {
        self.until_served(path, || {
            self.agent.get(format!("{}{path}", self.base)).call()
        })
    }

    /// Posts with one key, however often the gateway has to be asked.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let key = Uuid::new_v4().to_string();
        self.until_served(path, || {
            let mut request = self
                .agent
                .post(format!("{}{path}", self.base))
                .header("Idempotency-Key", &key);
            if let Some(token) = &self.token {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            request.send_json(body)
        })
    }

    /// A gateway that has just started may not have seen all services yet, and says so with 502 or 503.
    fn until_served(
        &self,
        path: &str,
        call: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value> {
        let mut last = String::new();
        let answer = interrupt::poll(PATIENCE, || {
            let mut response =
                call().with_context(|| format!("cannot reach {}{path}", self.base))?;
            let status = response.status().as_u16();
            let text = response.body_mut().read_to_string()?;
            match status {
                200..=299 => Ok(Some(serde_json::from_str(&text).unwrap_or(Value::Null))),
                502 | 503 => {
                    last = format!("{status}: {text}");
                    Ok(None)
                }
                _ => bail!("{path} answered {status}: {text}"),
            }
        })?;
        answer.with_context(|| format!("{path} is still not served; it answered {last}"))
    }
}
