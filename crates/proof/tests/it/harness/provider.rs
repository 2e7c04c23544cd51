//! The payment provider: what it charged, and the webhooks that it sends, or that somebody pretends it sent.

use chassis::clock::Clock;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use testkit::eventually;
use uuid::Uuid;
use xtask::fleet::Fleet;

use super::{donor::Intent, world::success};

/// The provider's simulator, and our side of its webhooks.
pub struct Provider {
    /// Base URL of the simulator.
    pub url: String,
    /// What it signs its webhooks with.
    pub webhook_secret: String,
    secret_key: String,
    webhooks: String,
    client: reqwest::Client,
}

/// An event of the provider's making, as it tells of it.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id, the same at each delivery.
    pub id: String,
    /// Its type.
    pub kind: String,
}

impl Provider {
    pub(super) fn new(fleet: &Fleet, client: reqwest::Client) -> Self {
        Self {
            url: fleet.psp(),
            webhook_secret: fleet.secrets().psp_webhook_secret.clone(),
            secret_key: fleet.secrets().psp_secret_key.clone(),
            webhooks: format!("{}/api/webhooks/psp/stripe", fleet.gateway()),
            client,
        }
    }

    /// Pays an intent as the provider's library in the donor's browser does.
    pub async fn confirm(&self, intent: &Intent, method: &str) -> Response {
        let form = [
            ("client_secret", intent.client_secret.as_str()),
            ("payment_method", method),
        ];
        let url = format!("{}/v1/payment_intents/{}/confirm", self.url, intent.id);
        let sent = self.client.post(url).form(&form).send().await;
        sent.expect("the provider answers")
    }

    /// Takes the money that is held.
    pub async fn capture(&self, intent: &Intent) {
        let url = format!("{}/v1/payment_intents/{}/capture", self.url, intent.id);
        let sent = self.client.post(url).bearer_auth(&self.secret_key).send();
        success(sent.await.expect("the provider answers")).await;
    }

    /// The bank rules for the donor, who complained about the charge of an intent.
    pub async fn rule_for_the_donor(&self, intent: &Intent) {
        let disputes = self
            .get(&format!("/v1/disputes?payment_intent={}", intent.id))
            .await;
        let dispute = disputes["data"][0]["id"].as_str().expect("a dispute");
        let url = format!("{}/_sim/disputes/{dispute}", self.url);
        let ruled = self.client.post(url).json(&json!({ "status": "lost" }));
        success(ruled.send().await.expect("the provider answers")).await;
    }

    /// An intent as the provider has it.
    pub async fn intent(&self, id: &str) -> Value {
        self.get(&format!("/v1/payment_intents/{id}")).await
    }

    /// Every intent that was opened for a payment.
    pub async fn intents_of(&self, payment_id: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let page = self
                .get(&format!("/v1/payment_intents?limit=100{after}"))
                .await;
            let intents = page["data"].as_array().expect("a list");
            let of_payment = |intent: &&Value| intent["metadata"]["payment_id"] == payment_id;
            found.extend(intents.iter().filter(of_payment).cloned());
            let Some(last) = intents.last().filter(|_| page["has_more"] == true) else {
                return found;
            };
            after = format!("&starting_after={}", last["id"].as_str().expect("an id"));
        }
    }

    /// Every charge in the provider's ledger that took or holds money for a payment.
    pub async fn charges_of(&self, payment_id: &str) -> Vec<Value> {
        let ledger = self.get("/_sim/ledger").await;
        let charges = ledger["charges"].as_array().expect("a list");
        let of_payment = |charge: &&Value| charge["metadata"]["payment_id"] == payment_id;
        charges.iter().filter(of_payment).cloned().collect()
    }

    /// Every refund of the charge of an intent, as the provider lists them.
    pub async fn refunds_of(&self, intent: &Intent) -> Vec<Value> {
        let path = format!("/v1/refunds?payment_intent={}&limit=100", intent.id);
        let refunds = self.get(&path).await;
        refunds["data"].as_array().expect("a list").clone()
    }

    /// The events of an intent, in the order in which they came about.
    pub async fn events_of(&self, intent: &str) -> Vec<Event> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let read = |event: &Value| Event {
            id: text(&event["id"]),
            kind: text(&event["type"]),
        };
        self.sent_of(intent).await.iter().map(read).collect()
    }

    /// The event of an intent that has this type.
    pub async fn event_of(&self, intent: &str, kind: &str) -> Event {
        let events = self.events_of(intent).await;
        let found = events.iter().find(|event| event.kind == kind).cloned();
        found.unwrap_or_else(|| panic!("no {kind} among {events:?}"))
    }

    /// Waits until every event of an intent was taken.
    pub async fn until_delivered(&self, intent: &str) {
        eventually("the provider's events are delivered", async || {
            let sent = self.sent_of(intent).await;
            sent.iter()
                .all(|event| event["delivered"] == true)
                .then_some(())
        })
        .await;
    }

    /// Sends an event once more, now, even during a pause. Gives the status that it was answered with.
    pub async fn resend(&self, event: &Event) -> Option<u16> {
        let sent = self
            .post(&format!("/_sim/events/{}/resend", event.id))
            .await;
        sent["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
    }

    /// Holds all events back.
    pub async fn pause(&self) {
        self.post("/_sim/webhooks/pause").await;
    }

    /// Sends what was held back, and everything from now on.
    pub async fn resume(&self) {
        self.post("/_sim/webhooks/resume").await;
    }

    /// Whether every event was taken.
    pub async fn is_idle(&self) -> bool {
        self.get("/_sim/idle").await["undelivered"] == 0
    }

    /// Delivers a body under a signature of our own making, or under none.
    pub async fn deliver(&self, body: &str, signature: Option<&str>) -> Response {
        let mut request = self.client.post(&self.webhooks);
        if let Some(signature) = signature {
            request = request.header("stripe-signature", signature);
        }
        let request = request.header("content-type", "application/json");
        let sent = request.body(body.to_owned()).send().await;
        sent.expect("the gateway answers")
    }

    /// Delivers a body that is signed as the provider would do now, and gives the verdict.
    pub async fn deliver_signed(&self, body: &str) -> String {
        let signature = sign(&self.webhook_secret, now(), body);
        let reply = self.deliver(body, Some(&signature)).await;
        assert_eq!(
            reply.status(),
            StatusCode::OK,
            "a signed delivery is always taken"
        );
        let receipt = success(reply).await;
        receipt["verdict"].as_str().expect("a verdict").to_owned()
    }

    async fn sent_of(&self, intent: &str) -> Vec<Value> {
        let events = self
            .get(&format!("/_sim/events?payment_intent={intent}"))
            .await;
        events["data"].as_array().expect("a list").clone()
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.url));
        let sent = request.bearer_auth(&self.secret_key).send().await;
        success(sent.expect("the provider answers")).await
    }

    async fn post(&self, path: &str) -> Value {
        let sent = self.client.post(format!("{}{path}", self.url)).send().await;
        success(sent.expect("the provider answers")).await
    }
}

/// The body of a webhook about an intent, with an id that was never used.
pub fn event(kind: &str, intent: &Value, created: i64) -> String {
    json!({
        "id": format!("evt_{}", Uuid::new_v4().simple()),
        "object": "event",
        "api_version": "2026-04-22.dahlia",
        "created": created,
        "data": { "object": intent },
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": kind,
    })
    .to_string()
}

/// The signature header of a body that is signed at a time, in seconds since 1970.
pub fn sign(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// Seconds since 1970.
pub fn now() -> i64 {
    Clock::system().now().timestamp()
}
