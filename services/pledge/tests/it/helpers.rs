//! One pledge service with a campaign that takes gifts.

use std::sync::{Arc, Mutex};

use chassis::{
    clock::Clock,
    kafka::{self, Record, Topic},
    telemetry,
};
use chrono::{DateTime, Duration, Utc};
use common::{
    auth::tokens::Signer,
    events::{
        CampaignKind, CampaignState, CampaignStatus, Capture, Event, PaymentEvent, PaymentKind,
    },
    ids::{CampaignId, PaymentId, PledgeId, UserId},
    money::{Currency, Extras, Money},
    payment::State,
};
use http::StatusCode;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use testkit::{Database, Running, eventually};
use uuid::Uuid;

pub struct Service {
    pub running: Running,
    pub database: Database,
    pub kafka: kafka::Config,
    pub clock: Clock,
    pub campaign: CampaignState,
}

impl Service {
    pub async fn start() -> Self {
        Self::start_on(testkit::kafka()).await
    }

    pub async fn start_on(kafka: kafka::Config) -> Self {
        // Spans are real in these tests; nobody reads their log.
        let telemetry = telemetry::Config {
            endpoint: None,
            ratio: 1.0,
            filter: "off".to_owned(),
        };
        drop(telemetry::install("pledge", &telemetry).expect("telemetry starts"));
        let database = Database::create("pledge", &pledge::MIGRATOR).await;
        let clock = Clock::fixed(Clock::system().now());
        let config = config(&database, kafka.clone(), clock.clone());
        let running = testkit::serve(|listener, life| pledge::run(config, listener, life)).await;
        let campaign = campaign(&clock);
        let service = Self {
            running,
            database,
            kafka,
            clock,
            campaign,
        };
        service.learn(&service.campaign).await;
        service
    }

    /// Tells the service of a campaign, and waits until it knows.
    pub async fn learn(&self, campaign: &CampaignState) {
        testkit::publish(&self.kafka, campaign).await;
        let pool = self.database.pool();
        eventually("the campaign is known", async || {
            let known: Option<i64> =
                sqlx::query_scalar("select version from campaigns where campaign_id = $1")
                    .bind(campaign.campaign_id.get())
                    .fetch_optional(&pool)
                    .await
                    .expect("the projection can be read");
            (known == Some(campaign.version)).then_some(())
        })
        .await;
    }

    pub fn body(&self) -> Value {
        json!({
            "campaign_id": self.campaign.campaign_id,
            "amount": {"amount": 2500, "currency": "USD"},
            "donor": {"name": "Ada", "email": "ada@example.org"},
            "visibility": "PUBLIC",
            "message": "Go!",
        })
    }

    pub fn post(&self, key: &str, body: &Value) -> RequestBuilder {
        self.running
            .client
            .post(self.running.at("/api/pledges"))
            .header("idempotency-key", key)
            .json(body)
    }

    pub async fn pledge(&self, key: &str, body: &Value) -> Response {
        self.post(key, body)
            .send()
            .await
            .expect("the service answers")
    }

    /// A pledge that was taken, as the reply to it says.
    pub async fn made(&self, body: &Value) -> Made {
        let reply = self.pledge(&key(), body).await;
        assert_eq!(reply.status(), StatusCode::CREATED);
        Made::of(reply).await
    }

    /// A pledge's page, as a guest sees it.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Response {
        let url = self.running.at(&format!("/api/pledges/{path}"));
        let mut request = self.running.client.get(url);
        if let Some(token) = token {
            request = request.header("x-guest-token", token);
        }
        request.send().await.expect("the service answers")
    }

    /// What a page of a pledge says to its guest.
    pub async fn page(&self, made: &Made, page: &str) -> Value {
        let reply = self
            .get(&format!("{}{page}", made.id), Some(&made.token))
            .await;
        assert_eq!(reply.status(), StatusCode::OK, "{page}");
        reply.json().await.expect("JSON")
    }

    /// A snapshot of a pledge's first payment of 25.00.
    pub fn snapshot(
        &self,
        pledge: PledgeId,
        kind: PaymentKind,
        state: State,
        version: i64,
    ) -> PaymentEvent {
        PaymentEvent {
            kind,
            payment_id: PaymentId::of(pledge, 1),
            pledge_id: pledge,
            campaign_id: self.campaign.campaign_id,
            donor_id: None,
            donor_ref: "pseudonym".into(),
            contact_id: common::ids::ContactId::new(),
            attempt: 1,
            state,
            previous: None,
            implied: Vec::new(),
            amount: usd(2500),
            extras: Extras::default(),
            authorized: 0,
            captured: 0,
            refunded: 0,
            disputed: 0,
            provider: "stripe".into(),
            provider_ref: None,
            failure: None,
            version,
            occurred_at: self.clock.now(),
        }
    }

    /// The first payment of a pledge of 25.00 when its money is taken.
    pub fn captured(&self, pledge: PledgeId) -> PaymentEvent {
        PaymentEvent {
            authorized: 2500,
            captured: 2500,
            ..self.snapshot(pledge, PaymentKind::Captured, State::Captured, 2)
        }
    }

    /// Tells the service of a payment, without waiting for it to listen.
    pub async fn hear(&self, event: &PaymentEvent) {
        testkit::publish(&self.kafka, event).await;
    }

    /// Tells the service of many payments at once, in their order.
    pub async fn hear_all(&self, events: &[PaymentEvent]) {
        let record = |event: &PaymentEvent| Record {
            topic: PaymentEvent::TOPIC.into(),
            key: event.key(),
            payload: serde_json::to_vec(event).expect("events serialise"),
            headers: Vec::new(),
        };
        let kafka = kafka::Kafka::new(&self.kafka);
        let producer = kafka.producer().expect("a producer can be made");
        for result in producer.send_all(events.iter().map(record).collect()).await {
            result.expect("the broker takes the event");
        }
    }

    /// Waits until a pledge shows a status to its guest, and gives the page.
    pub async fn until_status(&self, made: &Made, status: &str) -> Value {
        eventually(status, async || {
            let page = self.page(made, "").await;
            (page["status"] == status).then_some(page)
        })
        .await
    }

    /// Everything that the service says on a topic from now on, or has said.
    pub fn listen(&self, topic: Topic) -> Arc<Mutex<Vec<Value>>> {
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        kafka::Kafka::new(&self.kafka).consume(
            "test-listener",
            &[topic],
            Listener(heard.clone()),
            self.running.life(),
        );
        heard
    }

    pub async fn count(&self) -> i64 {
        sqlx::query_scalar("select count(*) from pledges")
            .fetch_one(&self.database.pool())
            .await
            .expect("pledges can be counted")
    }
}

/// What a guest knows of a new pledge.
pub struct Made {
    pub id: PledgeId,
    pub token: String,
    pub body: Value,
}

impl Made {
    pub async fn of(reply: Response) -> Self {
        let body: Value = reply.json().await.expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            id: text(&body["pledge"]["id"]).parse().expect("a UUID"),
            token: text(&body["guest_token"]),
            body,
        }
    }
}

struct Listener(Arc<Mutex<Vec<Value>>>);

impl kafka::Handler for Listener {
    async fn handle(&self, batch: &[kafka::Message]) -> Result<(), kafka::Fault> {
        let said = batch
            .iter()
            .map(|message| serde_json::from_slice(&message.payload).expect("JSON"));
        self.0.lock().expect("nobody panicked").extend(said);
        Ok(())
    }
}

pub fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::parse("USD").expect("USD is a currency"))
}

/// The problem of a refusal, with its code checked.
pub async fn problem(reply: Response, status: StatusCode, code: &str) -> Value {
    assert_eq!(reply.status(), status);
    let body: Value = reply.json().await.expect("a problem is JSON");
    assert_eq!(body["code"], code, "{body}");
    body
}

pub fn config(database: &Database, kafka: kafka::Config, clock: Clock) -> pledge::Config {
    pledge::Config {
        db: database.config(),
        cache: testkit::cache(),
        kafka,
        clock,
        jwt_public_keys: testkit::public_keys(),
        token_secret: testkit::token_secret(),
        donor_ref_secret: testkit::token_secret(),
        public_url: "http://gateway.test".into(),
        covered_fee_bps: 300,
    }
}

pub fn campaign(clock: &Clock) -> CampaignState {
    CampaignState {
        kind: CampaignKind::Approved,
        campaign_id: CampaignId::new(),
        organiser_id: UserId::new(),
        title: "Wells".into(),
        status: CampaignStatus::Active,
        goal: Money::new(100_000, Currency::parse("USD").expect("USD is a currency")),
        minimum: 100,
        ends_at: Some(clock.now() + Duration::days(1)),
        capture: Capture::Automatic,
        moved_by: None,
        version: 1,
        occurred_at: clock.now(),
    }
}

pub fn signer() -> Signer {
    Signer::new(&testkit::token_secret())
}

pub fn key() -> String {
    Uuid::new_v4().to_string()
}

pub fn time(value: &Value) -> DateTime<Utc> {
    value
        .as_str()
        .expect("a time is a string")
        .parse()
        .expect("a time is RFC 3339")
}
