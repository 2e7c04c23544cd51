use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use chassis::{clock::Clock, http::serve, lifecycle::Lifecycle};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use psp_sim::{Config, Rules};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use uuid::Uuid;

pub(crate) const SECRET_KEY: &str = "sk_test_only_for_the_tests_of_psp_sim";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_only_for_the_tests_of_psp_sim";
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer of the simulator.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the answer is JSON")
    }

    /// The JSON of a 200.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// The error object of a refusal with this status.
    pub(crate) fn refusal(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()["error"].clone()
    }

    pub(crate) fn replayed(&self) -> bool {
        self.headers
            .get("idempotent-replayed")
            .is_some_and(|value| value == "true")
    }
}

/// A running simulator. Dropping it stops the server and removes its ledger.
pub(crate) struct Sim {
    pub(crate) url: String,
    pub(crate) config: Config,
    pub(crate) client: reqwest::Client,
    life: Lifecycle,
    /// The ledger lives on in another simulator.
    keep: AtomicBool,
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.life.stop();
        if self.keep.load(Ordering::Relaxed) {
            return;
        }
        let _ = std::fs::remove_file(&self.config.ledger);
    }
}

/// A configuration with a ledger and a clock of its own and no receiver of webhooks.
pub(crate) fn config() -> Config {
    let ledger = std::env::temp_dir().join(format!("psp-sim-{}.jsonl", Uuid::new_v4()));
    let noon: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().expect("a time");
    Config {
        secret_key: SECRET_KEY.into(),
        webhook_secret: WEBHOOK_SECRET.into(),
        webhook_url: None,
        webhook_events: Vec::new(),
        ledger,
        durable: true,
        seed: 1,
        settle_after: Duration::from_mins(1),
        rules: Rules {
            turn_after: Duration::from_mins(1),
            ..Rules::default()
        },
        clock: Clock::fixed(noon),
    }
}

impl Sim {
    pub(crate) async fn start() -> Self {
        Self::with(config()).await
    }

    /// A simulator that tells `receiver`.
    pub(crate) async fn telling(receiver: &Receiver) -> Self {
        Self::with(Config {
            webhook_url: Some(receiver.url.clone()),
            ..config()
        })
        .await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let life = Lifecycle::new();
        life.spawn(
            "psp-sim",
            psp_sim::run(config.clone(), listener, life.clone()),
        );
        let client = reqwest::Client::new();
        Self {
            url: format!("http://{address}"),
            config,
            client,
            life,
            keep: AtomicBool::new(false),
        }
    }

    /// Stops it and waits until it has let go of everything.
    pub(crate) async fn stop(&self) {
        self.life.stop();
        self.life.finish().await;
    }

    /// The same provider in a new process, as far as a test can have one.
    pub(crate) async fn restart(self) -> Self {
        self.stop().await;
        self.keep.store(true, Ordering::Relaxed);
        Self::with(self.config.clone()).await
    }

    pub(crate) fn ledger_file(&self) -> PathBuf {
        self.config.ledger.clone()
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the simulator answers");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("the answer is text");
        Answer {
            status,
            headers,
            text,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(
            self.client
                .get(format!("{}{path}", self.url))
                .bearer_auth(SECRET_KEY),
        )
        .await
    }

    pub(crate) fn request(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).form(form)
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request(path, form).bearer_auth(SECRET_KEY))
            .await
    }

    pub(crate) async fn post_with_key(
        &self,
        key: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Answer {
        let request = self.request(path, form).bearer_auth(SECRET_KEY);
        self.send(request.header("idempotency-key", key)).await
    }

    pub(crate) async fn sim(&self, path: &str, body: &Value) -> Answer {
        let request = self.client.post(format!("{}/_sim/{path}", self.url));
        self.send(request.body(body.to_string())).await
    }

    /// A new intent over 25.00 USD.
    pub(crate) async fn intent(&self, capture_method: &str) -> Value {
        let form = [
            ("amount", "2500"),
            ("currency", "usd"),
            ("capture_method", capture_method),
            ("automatic_payment_methods[enabled]", "true"),
            ("metadata[payment_id]", "pay-1"),
        ];
        self.post("/v1/payment_intents", &form).await.ok()
    }

    /// Confirms as a browser does: with the client secret and no key.
    pub(crate) async fn confirm(&self, intent: &Value, method: &str) -> Answer {
        let form = [
            ("client_secret", text(&intent["client_secret"])),
            ("payment_method", method),
        ];
        let path = format!("/v1/payment_intents/{}/confirm", text(&intent["id"]));
        self.send(self.request(&path, &form)).await
    }

    pub(crate) async fn act(&self, intent: &Value, verb: &str, form: &[(&str, &str)]) -> Answer {
        self.post(
            &format!("/v1/payment_intents/{}/{verb}", text(&intent["id"])),
            form,
        )
        .await
    }

    /// The intent as the provider has it now.
    pub(crate) async fn reload(&self, intent: &Value) -> Value {
        self.get(&format!("/v1/payment_intents/{}", text(&intent["id"])))
            .await
            .ok()
    }

    /// A paid intent over 25.00 USD and its charge's id.
    pub(crate) async fn paid(&self, method: &str) -> (Value, String) {
        let intent = self.intent("automatic").await;
        self.confirm(&intent, method).await.ok();
        let paid = self.reload(&intent).await;
        let charge = text(&paid["latest_charge"]).to_owned();
        (paid, charge)
    }

    /// The first object of a list that shows this field with this value, once it is there.
    pub(crate) async fn awaited(&self, path: &str, field: &str, value: impl Into<Value>) -> Value {
        let value = value.into();
        let mut found = Value::Null;
        let what = format!("{path} has {field} {value}");
        self.until(&what, async || {
            let list = self.get(path).await.ok();
            let data = list["data"].as_array().expect("a list");
            found = data
                .iter()
                .find(|it| it[field] == value)
                .cloned()
                .unwrap_or_default();
            !found.is_null()
        })
        .await;
        found
    }

    pub(crate) async fn ledger(&self) -> Value {
        self.get("/_sim/ledger").await.ok()
    }

    /// The charges in the ledger.
    pub(crate) async fn charges(&self) -> Vec<Value> {
        self.ledger().await["charges"]
            .as_array()
            .expect("a list")
            .clone()
    }

    /// Ids and types of an intent's events, oldest first.
    pub(crate) async fn events(&self, intent: &Value) -> Vec<(String, String)> {
        let path = format!("/_sim/events?payment_intent={}", text(&intent["id"]));
        let list = self.get(&path).await.ok();
        let events = list["data"].as_array().expect("a list").clone();
        let pair = |event: &Value| {
            (
                text(&event["id"]).to_owned(),
                text(&event["type"]).to_owned(),
            )
        };
        events.iter().map(pair).collect()
    }

    /// Waits until a process that was just started answers.
    pub(crate) async fn until_ready(&self) {
        let url = format!("{}/readyz", self.url);
        self.until("the process is ready", async || {
            self.client
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    /// Waits until every event was acknowledged.
    pub(crate) async fn until_idle(&self) {
        self.until("every webhook is acknowledged", async || {
            self.get("/_sim/idle").await.ok() == json!({ "undelivered": 0 })
        })
        .await;
    }

    /// Waits for an asynchronous effect.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, wait).await.is_ok(), "timed out: {what}");
    }
}

/// A webhook as it arrived.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) signature: String,
    pub(crate) body: Bytes,
}

impl Delivery {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an event is JSON")
    }

    pub(crate) fn id(&self) -> String {
        text(&self.event()["id"]).to_owned()
    }

    /// Checks its signature as Stripe's libraries do and gives its timestamp.
    pub(crate) fn signed_at(&self, secret: &str) -> Option<i64> {
        let mut parts = self.signature.split(',');
        let timestamp = parts.next()?.strip_prefix("t=")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(format!("{timestamp}.").as_bytes());
        mac.update(&self.body);
        let expected = format!("v1={}", hex::encode(mac.finalize().into_bytes()));
        parts
            .any(|part| part == expected)
            .then(|| timestamp.parse().ok())?
    }

    /// Whether the provider signed it.
    pub(crate) fn is_genuine(&self) -> bool {
        self.signed_at(WEBHOOK_SECRET).is_some()
    }

    pub(crate) fn kind(&self) -> String {
        text(&self.event()["type"]).to_owned()
    }
}

#[derive(Clone)]
struct Inbox {
    deliveries: mpsc::UnboundedSender<Delivery>,
    replies: Arc<Mutex<VecDeque<StatusCode>>>,
}

/// A merchant's webhook endpoint.
pub(crate) struct Receiver {
    pub(crate) url: String,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    replies: Arc<Mutex<VecDeque<StatusCode>>>,
    life: Lifecycle,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.life.stop();
    }
}

impl Receiver {
    /// Answers the first webhooks with `replies` and then every one with 200.
    pub(crate) async fn answering(replies: impl IntoIterator<Item = u16>) -> Self {
        let code = |code| StatusCode::from_u16(code).expect("a status");
        let replies: VecDeque<_> = replies.into_iter().map(code).collect();
        let replies = Arc::new(Mutex::new(replies));
        let (sender, deliveries) = mpsc::unbounded_channel();
        let inbox = Inbox {
            deliveries: sender,
            replies: replies.clone(),
        };
        let router = Router::new()
            .route("/hook", post(receive))
            .with_state(inbox);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!(
            "http://{}/hook",
            listener.local_addr().expect("its address")
        );
        let life = Lifecycle::new();
        let stop = life.clone();
        life.spawn(
            "receiver",
            async move { serve(listener, router, &stop).await },
        );
        Self {
            url,
            deliveries,
            replies,
            life,
        }
    }

    pub(crate) async fn start() -> Self {
        Self::answering([]).await
    }

    /// Answers the next webhooks with these.
    pub(crate) fn answer(&self, codes: &[u16]) {
        let code = |code: &u16| StatusCode::from_u16(*code).expect("a status");
        self.replies
            .lock()
            .expect("no panic")
            .extend(codes.iter().map(code));
    }

    /// The next webhook to arrive.
    pub(crate) async fn next(&mut self) -> Delivery {
        let next = timeout(PATIENCE, self.deliveries.recv()).await;
        next.expect("a webhook arrives").expect("the receiver runs")
    }

    /// The types of the next webhooks to arrive.
    pub(crate) async fn kinds(&mut self, count: usize) -> Vec<String> {
        let mut kinds = Vec::new();
        for _ in 0..count {
            kinds.push(self.next().await.kind());
        }
        kinds
    }

    /// Whether nothing more has arrived.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.deliveries.try_recv().is_err()
    }
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers["stripe-signature"]
        .to_str()
        .expect("a signature")
        .to_owned();
    let reply = inbox.replies.lock().expect("no panic").pop_front();
    inbox
        .deliveries
        .send(Delivery { signature, body })
        .expect("the test runs");
    reply.unwrap_or(StatusCode::OK)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}
