//! One running service, and events as its neighbours would publish them.

use std::time::Duration;

use chassis::{
    cache,
    clock::Clock,
    kafka::{self, Kafka, Record},
};
use chrono::{DateTime, Utc};
use common::{
    events::{
        CampaignKind, CampaignState, CampaignStatus, Capture, Event, PaymentEvent, PaymentKind,
        PledgeEvent, PledgeKind, PledgeStatus, Visibility, topics,
    },
    ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId},
    money::{Currency, Money},
    payment::State,
};
use serde_json::Value;
use testkit::{Database, Running, eventually};

/// The service and the servers behind it.
pub struct Service {
    pub database: Database,
    pub kafka: kafka::Config,
    pub cache: cache::Config,
    pub running: Running,
    broker: Kafka,
}

impl Service {
    pub async fn start() -> Self {
        Self::start_with(testkit::cache(), quick(testkit::kafka())).await
    }

    pub async fn start_with(cache: cache::Config, kafka: kafka::Config) -> Self {
        let database = Database::create("totals", &totals::MIGRATOR).await;
        let running = replica(&database, &cache, &kafka).await;
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
            broker,
        }
    }

    /// Starts another process over the same servers.
    pub async fn replica(&self) -> Running {
        replica(&self.database, &self.cache, &self.kafka).await
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

async fn replica(database: &Database, cache: &cache::Config, kafka: &kafka::Config) -> Running {
    let config = totals::Config {
        db: database.config(),
        cache: cache.clone(),
        kafka: kafka.clone(),
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
            capture: Capture::Automatic,
            visibility,
            public_name: name.map(Into::into),
            message: Some("Go!".into()),
            status: PledgeStatus::Pending,
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
        version,
        occurred_at: Clock::system().now(),
    }
}
