//! One running service, and events as its neighbours would publish them.

use std::time::Duration;

use chassis::{
    cache,
    clock::Clock,
    kafka::{self, Kafka, Record},
};
use chrono::{DateTime, Utc};
use common::{
    auth::Role,
    events::{
        CampaignKind, CampaignState, CampaignStatus, Capture, Event, PaymentEvent, PaymentKind,
        PledgeEvent, PledgeKind, PledgeStatus, Visibility, topics,
    },
    ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId},
    money::{Currency, Extras, Money},
    payment::State,
};
use serde_json::Value;
use testkit::{Database, Running, eventually, user_token};

/// The service and the servers behind it.
pub struct Service {
    pub database: Database,
    pub kafka: kafka::Config,
    pub cache: cache::Config,
    pub running: Running,
    payment: String,
    admin: UserId,
    broker: Kafka,
}

impl Service {
    pub async fn start() -> Self {
        Self::start_with(testkit::cache(), quick(testkit::kafka())).await
    }

    pub async fn start_with(cache: cache::Config, kafka: kafka::Config) -> Self {
        // Nobody answers there.
        Self::start_beside("http://127.0.0.1:9", cache, kafka).await
    }

    /// Starts the service with its payment service at this address.
    pub async fn start_beside(payment: &str, cache: cache::Config, kafka: kafka::Config) -> Self {
        let database = Database::create("totals", &totals::MIGRATOR).await;
        let running = replica(&database, &cache, &kafka, payment).await;
        let broker = Kafka::new(&kafka);
        let consumed = [topics::CAMPAIGN, topics::PLEDGE, topics::PAYMENT];
        broker
            .create(&consumed.map(Into::into))
            .await
            .expect("the topics can be made");
        Self {
            database,
            kafka,
            cache,
            running,
            payment: payment.to_owned(),
            admin: UserId::new(),
            broker,
        }
    }

    /// Starts another process over the same servers.
    pub async fn replica(&self) -> Running {
        replica(&self.database, &self.cache, &self.kafka, &self.payment).await
    }

    /// Publishes events in their order.
    pub async fn publish<E: Event>(&self, events: impl IntoIterator<Item = E>) {
        let records = events.into_iter().map(|event| Record {
            topic: E::TOPIC.into(),
            key: event.key(),
            payload: serde_json::to_vec(&event).unwrap(),
            headers: vec![("ce_type".into(), event.kind().into())],
        });
        for result in self
            .broker
            .producer()
            .unwrap()
            .send_all(records.collect())
            .await
        {
            result.expect("the broker takes the event");
        }
    }

    /// Publishes bytes that need not be an event.
    pub async fn publish_raw(&self, topic: &str, payload: &[u8]) {
        let record = Record {
            topic: topic.into(),
            key: "key".into(),
            payload: payload.to_vec(),
            headers: Vec::new(),
        };
        let sent = self.broker.producer().unwrap().send_all(vec![record]).await;
        assert!(sent.iter().all(Result::is_ok));
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.running
            .client
            .get(self.running.at(path))
            .send()
            .await
            .expect("the service answers")
    }

    /// A `GET` with a role's access token.
    pub async fn get_as(&self, user: UserId, role: Role, path: &str) -> reqwest::Response {
        let request = self.running.client.get(self.running.at(path));
        let request = request.bearer_auth(user_token(user, role));
        request.send().await.expect("the service answers")
    }

    /// What an admin reads.
    pub async fn read(&self, path: &str) -> Value {
        let reply = self.get_as(UserId::new(), Role::Admin, path).await;
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.unwrap()
    }

    /// A `POST` of an admin, under a key.
    pub async fn command(&self, path: &str, key: &str) -> reqwest::Response {
        let admin = user_token(self.admin, Role::Admin);
        let request = self.running.client.post(self.running.at(path));
        let request = request.bearer_auth(admin).header("idempotency-key", key);
        request.send().await.expect("the service answers")
    }

    /// Every move of a campaign, newest first.
    pub async fn moves(&self, campaign: CampaignId) -> Vec<Value> {
        let mut moves = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/totals/{campaign}/explain?limit=100{cursor}");
            let page = self.read(&path).await;
            moves.extend(page["data"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else {
                return moves;
            };
            cursor = format!("&cursor={next}");
        }
    }

    /// Proves that the moves of a campaign sum to its totals.
    pub async fn moves_sum_up(&self, campaign: CampaignId) {
        let (moves, totals) = (self.moves(campaign).await, self.totals(campaign).await);
        let totals = totals.expect("the campaign is known");
        for bucket in ["pledged", "authorized", "captured", "refunded", "disputed"] {
            let sum: i64 = moves
                .iter()
                .map(|one| one["by"][bucket].as_i64().unwrap())
                .sum();
            assert_eq!(totals[bucket]["amount"], sum, "{bucket}: {moves:?}");
        }
    }

    pub async fn totals(&self, campaign: CampaignId) -> Option<Value> {
        let reply = self.get(&format!("/api/campaigns/{campaign}/totals")).await;
        if reply.status() == 404 {
            None
        } else {
            Some(reply.error_for_status().unwrap().json().await.unwrap())
        }
    }

    pub async fn wall(&self, campaign: CampaignId) -> Vec<Value> {
        let page: Value = self
            .get(&format!("/api/campaigns/{campaign}/donations"))
            .await
            .json()
            .await
            .unwrap();
        page["data"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until the totals have an amount in a bucket, and gives them.
    pub async fn until(&self, campaign: CampaignId, bucket: &str, amount: i64) -> Value {
        eventually(&format!("{bucket} is {amount}"), async || {
            self.totals(campaign)
                .await
                .filter(|totals| totals[bucket]["amount"] == amount)
        })
        .await
    }

    /// Waits until everything published so far was consumed: partitions keep their order, so that a gift to a campaign
    /// of its own, published last, is seen last. For one partition.
    pub async fn settled(&self) {
        let marker = Gift::new(CampaignId::new(), 1);
        self.publish([marker.captured(2)]).await;
        self.until(marker.campaign, "raised", 1).await;
    }
}

async fn replica(
    database: &Database,
    cache: &cache::Config,
    kafka: &kafka::Config,
    payment: &str,
) -> Running {
    let config = totals::Config {
        db: database.config(),
        cache: cache.clone(),
        kafka: kafka.clone(),
        jwt_public_keys: testkit::public_keys(),
        payment_urls: vec![payment.to_owned()],
        service_secret: testkit::service_secret(),
        rebuild_page: 3,
        audit_pause: Duration::from_millis(20),
        audit_patience: Duration::ZERO,
        clock: Clock::system(),
    };
    testkit::serve(|listener, life| totals::run(config, listener, life)).await
}

/// Bad messages are set aside at once.
pub fn quick(kafka: kafka::Config) -> kafka::Config {
    kafka::Config {
        retry_delays: vec![Duration::from_millis(1)],
        ..kafka
    }
}

/// A gift from pledge to payment.
#[derive(Clone)]
pub struct Gift {
    pub campaign: CampaignId,
    pub pledge: PledgeId,
    pub amount: i64,
    pub donor: String,
    pub currency: Currency,
    pub at: DateTime<Utc>,
}

impl Gift {
    pub fn new(campaign: CampaignId, amount: i64) -> Self {
        let pledge = PledgeId::new();
        Self {
            campaign,
            pledge,
            amount,
            donor: pledge.to_string(),
            currency: Currency::USD,
            at: Clock::system().now(),
        }
    }

    pub fn by(self, donor: &str) -> Self {
        Self {
            donor: donor.into(),
            ..self
        }
    }

    fn money(&self) -> Money {
        Money::new(self.amount, self.currency)
    }

    /// A payment snapshot without any money.
    pub fn payment(&self, kind: PaymentKind, state: State, version: i64) -> PaymentEvent {
        PaymentEvent {
            kind,
            payment_id: PaymentId::of(self.pledge, 1),
            pledge_id: self.pledge,
            campaign_id: self.campaign,
            donor_id: None,
            donor_ref: self.donor.clone(),
            contact_id: ContactId::new(),
            attempt: 1,
            state,
            previous: None,
            implied: Vec::new(),
            amount: self.money(),
            extras: Extras::default(),
            authorized: 0,
            captured: 0,
            refunded: 0,
            disputed: 0,
            provider: "stripe".into(),
            provider_ref: None,
            failure: None,
            version,
            occurred_at: self.at,
        }
    }

    pub fn created(&self) -> PaymentEvent {
        self.payment(PaymentKind::Created, State::Pending, 1)
    }

    pub fn authorized(&self, version: i64) -> PaymentEvent {
        PaymentEvent {
            authorized: self.amount,
            ..self.payment(PaymentKind::Authorized, State::Authorized, version)
        }
    }

    pub fn captured(&self, version: i64) -> PaymentEvent {
        let base = self.payment(PaymentKind::Captured, State::Captured, version);
        PaymentEvent {
            authorized: self.amount,
            captured: self.amount,
            ..base
        }
    }

    pub fn completed(&self, version: i64) -> PaymentEvent {
        PaymentEvent {
            kind: PaymentKind::Completed,
            state: State::Completed,
            ..self.captured(version)
        }
    }

    pub fn refunded(&self, refunded: i64, version: i64) -> PaymentEvent {
        let state = if refunded == self.amount {
            State::Refunded
        } else {
            State::Captured
        };
        PaymentEvent {
            kind: PaymentKind::Refunded,
            state,
            refunded,
            ..self.captured(version)
        }
    }

    pub fn promised(&self, visibility: Visibility, name: Option<&str>) -> PledgeEvent {
        PledgeEvent {
            kind: PledgeKind::Created,
            pledge_id: self.pledge,
            campaign_id: self.campaign,
            payment_id: PaymentId::of(self.pledge, 1),
            donor_id: None,
            donor_ref: self.donor.clone(),
            contact_id: ContactId::new(),
            amount: self.money(),
            extras: Extras::default(),
            cancel_requested_at: None,
            capture: Capture::Automatic,
            visibility,
            public_name: name.map(Into::into),
            message: Some("Go!".into()),
            status: PledgeStatus::Pending,
            claim: None,
            expires_at: self.at,
            created_at: self.at,
            version: 1,
            occurred_at: self.at,
        }
    }
}

/// A campaign with a goal.
pub fn campaign(campaign_id: CampaignId, goal: i64, version: i64) -> CampaignState {
    CampaignState {
        kind: CampaignKind::Approved,
        campaign_id,
        organiser_id: UserId::new(),
        title: "Wells".into(),
        status: CampaignStatus::Active,
        goal: Money::new(goal, Currency::USD),
        minimum: 100,
        ends_at: None,
        capture: Capture::Automatic,
        moved_by: None,
        version,
        occurred_at: Clock::system().now(),
    }
}
