//! One payment service and one provider, wired to each other, and what a test does with them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use chassis::{clock::Clock, kafka, lifecycle::Lifecycle, telemetry};
use chrono::{DateTime, Utc};
use common::{
    auth::tokens::{Signer, Ticket},
    events::{Capture, PledgeEvent, PledgeKind, PledgeStatus, Visibility},
    ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId},
    money::{Currency, Extras, Money},
};
use hmac::{Hmac, KeyInit, Mac};
use payment::{Cadences, Config, Pace, Psp};
use reqwest::{Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::PgPool;
use testkit::{Database, Running, eventually};
use tokio::net::{TcpListener, TcpSocket};
use uuid::Uuid;

pub const WEBHOOK: &str = "/api/webhooks/psp/stripe";
pub const WEBHOOK_SECRET: &str = "whsec_of_these_tests";
pub const SECRET_KEY: &str = "sk_test_ofTheseTests1";

/// How a world differs from the usual one.
pub struct Plan {
    /// The time of day.
    pub clock: Clock,
    /// How often is looked for what is due.
    pub resolve_every: Duration,
    /// How long a call to the provider may take.
    pub timeout: Duration,
    /// How long the breaker stays open.
    pub breaker_rest: Duration,
    /// How long after a call without an answer it is repeated.
    pub resolve_after: Duration,
    /// How often the provider is asked about what it has not told.
    pub cadences: Cadences,
    /// How long the provider settles money before it can be paid out.
    pub available_after: Duration,
    /// Whether the provider sends its webhooks by itself.
    pub webhooks: bool,
    /// Whether the provider runs from the start.
    pub up: bool,
    /// Where the service finds the provider, when not at its own address.
    pub through: Option<SocketAddr>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            resolve_every: Duration::from_millis(50),
            timeout: Duration::from_secs(5),
            breaker_rest: Duration::from_secs(30),
            resolve_after: Duration::from_secs(10),
            cadences: Cadences::default(),
            // No test meets a settlement that it does not wait for, however slow the machine is.
            available_after: Duration::from_hours(1),
            webhooks: false,
            up: true,
            through: None,
        }
    }
}

impl Plan {
    /// Everything is looked at at once, and money is available soon.
    pub fn brisk() -> Self {
        Self {
            cadences: brisk(),
            available_after: Duration::from_secs(1),
            ..Self::default()
        }
    }
}

/// Everything happens at once.
pub fn brisk() -> Cadences {
    Cadences {
        reconcile_after: Duration::from_millis(200),
        settle_after: Duration::from_millis(200),
        parked_after: Duration::from_millis(100),
        sweep_every: Duration::from_millis(200),
        psp_rate: 10_000,
        ..Cadences::default()
    }
}

/// The service, its neighbours, and the secrets that it shares with the pledge service.
pub struct World {
    pub service: Running,
    pub psp: Simulator,
    pub pool: PgPool,
    pub kafka: kafka::Config,
    pub signer: Signer,
    pub clock: Clock,
    pub life: Lifecycle,
    /// Dropped last, and the database with it.
    _database: Database,
}

/// The provider. Its port is taken from the start, but refuses connections until it is up.
pub struct Simulator {
    pub url: String,
    socket: Option<TcpSocket>,
    webhook_url: Option<String>,
    ledger: PathBuf,
    available_after: Duration,
    clock: Clock,
    client: reqwest::Client,
}

/// A pledge as the donor holds it.
#[derive(Clone)]
pub struct Gift {
    pub ticket: Ticket,
    pub sealed: String,
    pub guest_token: String,
    pub payment_id: PaymentId,
}

/// An opened payment.
pub struct Open {
    pub payment_id: String,
    pub intent: String,
    pub client_secret: String,
}

impl World {
    pub async fn start() -> Self {
        Self::of(Plan::default()).await
    }

    pub async fn of(plan: Plan) -> Self {
        // Spans are real in these tests; nobody reads their log.
        let telemetry = telemetry::Config {
            endpoint: None,
            ratio: 1.0,
            filter: "off".to_owned(),
        };
        drop(telemetry::install("payment", &telemetry).unwrap());
        let mut psp = Simulator::new(plan.clock.clone(), plan.available_after);
        let database = Database::create("payment", &payment::MIGRATOR).await;
        let kafka = testkit::kafka();
        let url = match plan.through {
            Some(line) => format!("http://{line}"),
            None => psp.url.clone(),
        };
        let config = Config {
            db: database.config(),
            cache: testkit::cache(),
            kafka: kafka.clone(),
            jwt_public_keys: testkit::public_keys(),
            token_secret: testkit::token_secret(),
            service_secret: testkit::service_secret(),
            psp: Psp {
                url,
                secret_key: SECRET_KEY.into(),
                webhook_secrets: vec!["whsec_next".into(), WEBHOOK_SECRET.into()],
                checkout_url: format!("{}/pay", psp.url),
                timeout: plan.timeout,
                breaker_rest: plan.breaker_rest,
            },
            resolve_every: plan.resolve_every,
            resolve_after: plan.resolve_after,
            weigh_every: Duration::from_millis(50),
            cadences: plan.cadences,
            outbox_stuck_after: Duration::from_mins(1),
            pace: Pace {
                approval_from: 1_000_000,
                pause: Duration::from_millis(1),
            },
            clock: plan.clock.clone(),
        };
        let service = testkit::serve(|listener, life| payment::run(config, listener, life)).await;
        let life = Lifecycle::new();
        psp.webhook_url = plan.webhooks.then(|| service.at(WEBHOOK));
        let mut world = Self {
            pool: database.pool(),
            signer: Signer::new(&testkit::token_secret()),
            clock: plan.clock,
            service,
            psp,
            kafka,
            life,
            _database: database,
        };
        if plan.up {
            world.psp_comes_up();
        }
        world
    }

    /// Lets the provider answer from now on.
    pub fn psp_comes_up(&mut self) {
        let listener = self.psp.listener();
        self.psp.serve(listener, &self.life);
    }

    /// A guest's gift of 25 dollars, as the pledge service would hand it out.
    pub fn gift(&self) -> Gift {
        self.gift_of(2500, Capture::Automatic, None)
    }

    pub fn gift_of(&self, minor: i64, capture: Capture, donor: Option<UserId>) -> Gift {
        let now = self.clock.now();
        self.sign(Ticket {
            pledge_id: PledgeId::new(),
            campaign_id: CampaignId::new(),
            contact_id: ContactId::new(),
            donor_id: donor,
            donor_ref: "9f86d081884c7d65".to_owned(),
            amount: Money::new(minor, Currency::USD),
            extras: Extras::default(),
            capture,
            pledge_expires_at: now + chrono::Duration::minutes(30),
            expires_at: now + chrono::Duration::minutes(30),
            traceparent: Some(format!(
                "00-{}-00f067aa0ba902b7-01",
                Uuid::new_v4().simple()
            )),
        })
    }

    pub fn sign(&self, ticket: Ticket) -> Gift {
        Gift {
            sealed: self.signer.ticket(&ticket),
            guest_token: self.signer.guest_token(ticket.pledge_id),
            payment_id: PaymentId::of(ticket.pledge_id, 1),
            ticket,
        }
    }

    /// `POST /api/payments` with a fresh key.
    pub async fn post(&self, body: &Value) -> Response {
        self.post_with_key(&Uuid::new_v4().to_string(), body).await
    }

    pub async fn post_with_key(&self, key: &str, body: &Value) -> Response {
        let request = self.service.client.post(self.service.at("/api/payments"));
        let request = request.header("idempotency-key", key).json(body);
        request.send().await.unwrap()
    }

    /// Asks for the payment of a gift by its ticket, which must succeed.
    pub async fn open(&self, gift: &Gift) -> Open {
        let reply = self.post(&gift.body()).await;
        let status = reply.status();
        let body: Value = reply.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{body}");
        Open::from(&body)
    }

    pub async fn get(&self, gift: &Gift) -> Response {
        let path = format!("/api/payments/{}", gift.payment_id);
        let request = self.service.client.get(self.service.at(&path));
        let request = request.header("x-guest-token", &gift.guest_token);
        request.send().await.unwrap()
    }

    /// The payment as its donor sees it.
    pub async fn payment(&self, gift: &Gift) -> Value {
        let reply = self.get(gift).await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.unwrap()
    }

    pub async fn state(&self, gift: &Gift) -> String {
        self.payment(gift).await["state"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Delivers an event as the provider would, signed now.
    pub async fn deliver(&self, event: &Value) -> Response {
        let body = event.to_string();
        let signature = sign(&body, self.clock.now().timestamp());
        self.deliver_signed(body, Some(&signature)).await
    }

    pub async fn deliver_signed(&self, body: String, signature: Option<&str>) -> Response {
        let request = self
            .service
            .client
            .post(self.service.at(WEBHOOK))
            .body(body);
        let request = request.header("content-type", "application/json; charset=utf-8");
        let request = match signature {
            Some(signature) => request.header("stripe-signature", signature),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// Delivers an event, which must be judged, and gives the verdict.
    pub async fn verdict(&self, event: &Value) -> String {
        let reply = self.deliver(event).await;
        assert_eq!(reply.status(), StatusCode::OK);
        let receipt: Value = reply.json().await.unwrap();
        receipt["verdict"].as_str().unwrap().to_owned()
    }

    /// The stored verdict of an event.
    pub async fn stored_verdict(&self, event_id: &str) -> Option<String> {
        sqlx::query_scalar("select verdict from webhook_events where event_id = $1")
            .bind(event_id)
            .fetch_optional(&self.pool)
            .await
            .unwrap()
    }

    pub async fn count(&self, table: Table) -> i64 {
        let query = match table {
            Table::Payments => sqlx::query_scalar("select count(*) from payments"),
            Table::Webhooks => sqlx::query_scalar("select count(*) from webhook_events"),
            Table::Transitions => sqlx::query_scalar("select count(*) from payment_transitions"),
            Table::Idempotency => sqlx::query_scalar("select count(*) from idempotency"),
        };
        query.fetch_one(&self.pool).await.unwrap()
    }

    /// The history of a payment: from, to, implied.
    pub async fn history(&self, gift: &Gift) -> Vec<(String, String, bool)> {
        sqlx::query_as(
            "select from_state, to_state, implied from payment_transitions where payment_id = $1 order by id",
        )
        .bind(gift.payment_id.get())
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// An admin's request, with a fresh key.
    pub async fn admin(&self, method: reqwest::Method, path: &str, body: &Value) -> Response {
        let key = Uuid::new_v4().to_string();
        self.admin_with_key(method, path, &key, body).await
    }

    pub async fn admin_with_key(
        &self,
        method: reqwest::Method,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Response {
        let admin: UserId = Uuid::from_u128(7).into();
        let token = testkit::user_token(admin, common::auth::Role::Admin);
        let request = self.service.client.request(method, self.service.at(path));
        let request = request.bearer_auth(token).header("idempotency-key", key);
        let request = if body.is_null() {
            request
        } else {
            request.json(body)
        };
        request.send().await.unwrap()
    }

    /// The donor calls the pledge off, as the pledge service tells it.
    pub async fn withdraw(&self, gift: &Gift) {
        testkit::publish(&self.kafka, &gift.withdrawal(self.clock.now())).await;
    }

    /// The causes of a payment's steps.
    pub async fn causes(&self, gift: &Gift) -> Vec<String> {
        sqlx::query_scalar(
            "select cause from payment_transitions where payment_id = $1 order by id",
        )
        .bind(gift.payment_id.get())
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// Lets the pledge lapse, by the database's clock.
    pub async fn lapse(&self, gift: &Gift) {
        sqlx::query(
            "update payments set expires_at = now() - interval '1 second' where payment_id = $1",
        )
        .bind(gift.payment_id.get())
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// So much of held money is to be taken, as if that had been asked for and the call were on its way.
    pub async fn order(&self, gift: &Gift, minor: i64) {
        sqlx::query(
            "insert into captures (payment_id, amount_minor, asked_at) values ($1, $2, now())",
        )
        .bind(gift.payment_id.get())
        .bind(minor)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Who called the payment off, and whether the provider is still to be asked.
    pub async fn ending(&self, gift: &Gift) -> (Option<String>, bool) {
        sqlx::query_as("select ending, ending_at is not null from payments where payment_id = $1")
            .bind(gift.payment_id.get())
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Waits until the payment stands in this state.
    pub async fn until(&self, gift: &Gift, state: &str) {
        eventually(state, async || {
            (self.state(gift).await == state).then_some(())
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.life.stop();
    }
}

/// The tables that tests count.
pub enum Table {
    Payments,
    Webhooks,
    Transitions,
    Idempotency,
}

impl Gift {
    /// The body that asks for its payment.
    pub fn body(&self) -> Value {
        json!({"pledge_id": self.ticket.pledge_id, "ticket": self.sealed})
    }

    /// The pledge's event, as the pledge service publishes it.
    pub fn event(&self, now: DateTime<Utc>) -> PledgeEvent {
        PledgeEvent {
            kind: PledgeKind::Created,
            pledge_id: self.ticket.pledge_id,
            campaign_id: self.ticket.campaign_id,
            payment_id: self.payment_id,
            donor_id: self.ticket.donor_id,
            donor_ref: self.ticket.donor_ref.clone(),
            contact_id: self.ticket.contact_id,
            amount: Money::new(
                self.ticket.amount.minor - self.ticket.extras.sum(),
                self.ticket.amount.currency,
            ),
            extras: self.ticket.extras,
            cancel_requested_at: None,
            capture: self.ticket.capture,
            visibility: Visibility::Public,
            public_name: Some("Ada".to_owned()),
            message: None,
            status: PledgeStatus::Pending,
            claim: None,
            expires_at: self.ticket.pledge_expires_at,
            created_at: now,
            version: 1,
            occurred_at: now,
        }
    }

    /// The same after the donor has called it off.
    pub fn withdrawal(&self, now: DateTime<Utc>) -> PledgeEvent {
        PledgeEvent {
            kind: PledgeKind::CancelRequested,
            cancel_requested_at: Some(now),
            version: 2,
            ..self.event(now)
        }
    }

    /// An event about its intent, as the provider words it; `told` overrides what the intent says of itself.
    pub fn news(&self, kind: &str, intent: &str, told: &Value) -> Value {
        let mut object = json!({
            "id": intent,
            "object": "payment_intent",
            "amount": self.ticket.amount.minor,
            "amount_capturable": 0,
            "amount_received": 0,
            "currency": self.ticket.amount.currency.as_str().to_lowercase(),
            "livemode": false,
            "metadata": {"payment_id": self.payment_id},
            "status": "requires_payment_method",
        });
        let members = object.as_object_mut().unwrap();
        members.extend(told.as_object().unwrap().clone());
        json!({
            "id": format!("evt_{}", Uuid::new_v4().simple()),
            "object": "event",
            "api_version": "2026-04-22.dahlia",
            "created": 1_700_000_000,
            "livemode": false,
            "type": kind,
            "data": {"object": object},
        })
    }

    pub fn captured(&self, intent: &str) -> Value {
        let told = json!({"status": "succeeded", "amount_received": self.ticket.amount.minor});
        self.news("payment_intent.succeeded", intent, &told)
    }

    pub fn authorized(&self, intent: &str) -> Value {
        let told =
            json!({"status": "requires_capture", "amount_capturable": self.ticket.amount.minor});
        self.news("payment_intent.amount_capturable_updated", intent, &told)
    }

    pub fn declined(&self, intent: &str) -> Value {
        let error =
            json!({"code": "card_declined", "decline_code": "insufficient_funds", "message": "no"});
        self.news(
            "payment_intent.payment_failed",
            intent,
            &json!({"last_payment_error": error}),
        )
    }
}

impl From<&Value> for Open {
    fn from(reply: &Value) -> Self {
        let client_secret = reply["client_secret"].as_str().unwrap();
        Self {
            payment_id: reply["payment"]["id"].as_str().unwrap().to_owned(),
            intent: client_secret.split("_secret_").next().unwrap().to_owned(),
            client_secret: client_secret.to_owned(),
        }
    }
}

impl Simulator {
    fn new(clock: Clock, available_after: Duration) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            url: format!("http://{}", socket.local_addr().unwrap()),
            socket: Some(socket),
            webhook_url: None,
            ledger: std::env::temp_dir().join(format!("payment-psp-{}", Uuid::new_v4())),
            available_after,
            clock,
            client: reqwest::Client::new(),
        }
    }

    /// Where it answers, for a line that stands before it.
    pub fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    fn listener(&mut self) -> TcpListener {
        let socket = self.socket.take().expect("the provider comes up once");
        socket.listen(1024).unwrap()
    }

    fn serve(&self, listener: TcpListener, life: &Lifecycle) {
        let config = psp_sim::Config {
            secret_key: SECRET_KEY.to_owned(),
            webhook_secret: WEBHOOK_SECRET.to_owned(),
            webhook_url: self.webhook_url.clone(),
            webhook_events: Vec::new(),
            ledger: self.ledger.clone(),
            durable: true,
            seed: 7,
            settle_after: self.available_after,
            rules: psp_sim::Rules::default(),
            clock: self.clock.clone(),
        };
        let running = psp_sim::run(config, listener, life.clone());
        let stopping = life.clone();
        life.spawn("psp-sim", async move {
            running.await?;
            stopping.stopping().await;
            Ok(())
        });
    }

    /// Confirms an intent as the provider's browser library does.
    pub async fn confirm(&self, open: &Open, method: &str) -> Response {
        let path = format!("{}/v1/payment_intents/{}/confirm", self.url, open.intent);
        let form = [
            ("client_secret", open.client_secret.as_str()),
            ("payment_method", method),
        ];
        self.client.post(path).form(&form).send().await.unwrap()
    }

    /// Lets its calls and webhooks go wrong.
    pub async fn faults(&self, faults: &Value) {
        let path = format!("{}/_sim/faults", self.url);
        let reply = self.client.post(path).json(faults).send().await.unwrap();
        assert!(
            reply.status().is_success(),
            "{}",
            reply.text().await.unwrap()
        );
    }

    /// The status of an intent, as the provider has it.
    pub async fn status(&self, open: &Open) -> String {
        let path = format!("{}/v1/payment_intents/{}", self.url, open.intent);
        let request = self.client.get(path).bearer_auth(SECRET_KEY);
        let intent: Value = request.send().await.unwrap().json().await.unwrap();
        intent["status"].as_str().unwrap().to_owned()
    }

    /// Cancels an intent in the provider's own tools.
    pub async fn cancel(&self, open: &Open) {
        let path = format!("{}/v1/payment_intents/{}/cancel", self.url, open.intent);
        let request = self.client.post(path).bearer_auth(SECRET_KEY);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }

    /// Takes the money that is held.
    pub async fn capture(&self, open: &Open) {
        let path = format!("{}/v1/payment_intents/{}/capture", self.url, open.intent);
        let reply = self
            .client
            .post(path)
            .bearer_auth(SECRET_KEY)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
    }

    pub async fn ledger(&self) -> Value {
        let path = format!("{}/_sim/ledger", self.url);
        self.client
            .get(path)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// How many intents were ever opened.
    pub async fn intents(&self) -> usize {
        let ledger = self.ledger().await;
        let entries = ledger["entries"].as_array().unwrap();
        entries
            .iter()
            .filter(|entry| entry["kind"] == "intent.created")
            .count()
    }

    /// How many charges took or hold money.
    pub async fn charges(&self) -> usize {
        self.ledger().await["charges"].as_array().unwrap().len()
    }

    /// The id of an intent's event of this type.
    pub async fn event(&self, intent: &str, kind: &str) -> String {
        let path = format!("{}/_sim/events?payment_intent={intent}", self.url);
        let listed: Value = self
            .client
            .get(path)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let events = listed["data"].as_array().unwrap();
        let found = events.iter().find(|event| event["type"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {listed}"))["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Delivers an event once, now, and gives the status of the reply.
    pub async fn resend(&self, event: &str) -> u64 {
        let path = format!("{}/_sim/events/{event}/resend", self.url);
        let sent: Value = self
            .client
            .post(path)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        sent["status"]
            .as_u64()
            .unwrap_or_else(|| panic!("not delivered: {sent}"))
    }

    pub async fn pause_webhooks(&self) {
        let path = format!("{}/_sim/webhooks/pause", self.url);
        assert!(
            self.client
                .post(path)
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ledger);
    }
}

/// The signature header of a body.
pub fn sign(body: &str, at: i64) -> String {
    sign_with(&WEBHOOK_SECRET.into(), body, at)
}

pub fn sign_with(secret: &SecretString, body: &str, at: i64) -> String {
    use secrecy::ExposeSecret;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}
