//! What there is to examine: a fleet in which a gift was made, and those who call it.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::fleet::{Api, Fleet};

/// A fleet in which a gift was made.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Base URL of the gateway.
    pub gateway: String,
    /// Signs webhooks.
    pub webhook_secret: String,
    /// Shows the pledge.
    pub guest_token: String,
    /// Opens its payment.
    pub ticket: String,
    /// Who calls: an administrator and a donor.
    pub callers: Vec<Caller>,
    campaign: String,
    pledge: String,
    payment: String,
}

/// An account that calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// For the report.
    pub name: &'static str,
    /// Its access token.
    pub token: String,
}

/// What exists, and the parameters that may name it.
pub(super) struct Known {
    pub name: &'static str,
    pub values: Vec<String>,
    pub paths: &'static str,
    pub parameter: &'static str,
}

impl Subject {
    /// Makes a gift to the campaign, and logs in.
    pub fn of(fleet: &Fleet, campaign: &str) -> Result<Self> {
        let mut api = Api::new(&fleet.gateway());
        let secrets = fleet.secrets();
        let admin = log_in(&api, &secrets.admin_email, &secrets.admin_password)?;
        let (email, password) = ("donor@example.org", "correct horse battery staple");
        let account = json!({ "email": email, "password": password, "name": "Grace" });
        api.post("/api/auth/register", &account)?;
        let donor = log_in(&api, email, password)?;

        let gift = json!({
            "campaign_id": campaign,
            "amount": { "amount": 2500, "currency": "USD" },
            "donor": { "name": "Ada", "email": "ada@example.org" },
            "visibility": "PUBLIC",
        });
        let pledged = api.post("/api/pledges", &gift)?;
        let (pledge, ticket) = (text(&pledged, "/pledge/id")?, text(&pledged, "/ticket")?);
        api.token = Some(donor.clone());
        let wish = json!({ "pledge_id": pledge, "ticket": ticket });
        let opened = api.post("/api/payments", &wish)?;
        Ok(Self {
            gateway: fleet.gateway(),
            webhook_secret: secrets.psp_webhook_secret.clone(),
            guest_token: text(&pledged, "/guest_token")?,
            callers: vec![
                Caller {
                    name: "admin",
                    token: admin,
                },
                Caller {
                    name: "donor",
                    token: donor,
                },
            ],
            campaign: campaign.to_owned(),
            payment: text(&opened, "/payment/id")?,
            pledge,
            ticket,
        })
    }

    pub(super) fn known(&self) -> Vec<Known> {
        let known = |name, value: &String, paths, parameter| Known {
            name,
            values: vec![value.clone()],
            paths,
            parameter,
        };
        let events = [
            "payment_intent.succeeded",
            "payment_intent.canceled",
            "charge.refunded",
            "charge.dispute.created",
        ];
        vec![
            known(
                "campaigns",
                &self.campaign,
                "/(campaigns|totals)/\\{id\\}",
                "path.id",
            ),
            known(
                "batches",
                &self.campaign,
                "\\{campaign_id\\}",
                "path.campaign_id",
            ),
            known("pledges", &self.pledge, "/pledges/\\{id\\}", "path.id"),
            known("payments", &self.payment, "/payments/\\{id\\}", "path.id"),
            known(
                "to_give_to",
                &self.campaign,
                "^/api/pledges$",
                "body.campaign_id",
            ),
            known(
                "to_pay_for",
                &self.pledge,
                "^/api/payments$",
                "body.pledge_id",
            ),
            Known {
                name: "events",
                values: events.map(str::to_owned).to_vec(),
                paths: "/webhooks/(psp|payment)",
                parameter: "body.type",
            },
        ]
    }
}

fn log_in(api: &Api, email: &str, password: &str) -> Result<String> {
    let session = json!({ "email": email, "password": password });
    text(&api.post("/api/auth/login", &session)?, "/access_token")
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    let found = found.with_context(|| format!("no {pointer} in {value}"))?;
    Ok(found.to_owned())
}
