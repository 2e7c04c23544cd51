//! One notification service with a database, topics and a mailbox of its own.

use std::time::Duration;

use chassis::{
    clock::Clock,
    kafka::{self, Kafka, Producer, Record},
};
use common::{
    auth::Role,
    events::{
        CampaignKind, CampaignState, CampaignStatus, Capture, ContactState, Event, PaymentEvent,
        PaymentKind,
    },
    ids::{CampaignId, ContactId, PaymentId, PledgeId, UserId},
    money::{Currency, Extras, Money},
    payment::State,
};
use notification::{Config, FeedLimits};
use serde_json::Value;
use testkit::{Database, Running};

use crate::mailbox::Mailbox;

/// The service under test and what it stands on.
pub struct TestApp {
    pub service: Running,
    pub clock: Clock,
    pub kafka: kafka::Config,
    pub producer: Producer,
    pub mailbox: Mailbox,
    pub database: Database,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(Mailbox::up().await, FeedLimits::default()).await
    }

    pub async fn with(mailbox: Mailbox, feed: FeedLimits) -> Self {
        let smtp = mailbox.url();
        Self::at(mailbox, &smtp, feed).await
    }

    /// A service that sends its mails to `smtp`.
    pub async fn at(mailbox: Mailbox, smtp: &str, feed: FeedLimits) -> Self {
        let database = Database::create("notification", &notification::MIGRATOR).await;
        let mut kafka = testkit::kafka();
        kafka.retry_delays = vec![Duration::from_millis(1)];
        let producer = Kafka::new(&kafka)
            .producer()
            .expect("a producer can be made");
        let clock = Clock::fixed(Clock::system().now());
        let service = replica(&database, &kafka, &clock, smtp, feed).await;
        Self {
            service,
            clock,
            kafka,
            producer,
            mailbox,
            database,
        }
    }

    /// Publishes as another service's relay would.
    pub async fn publish<E: Event>(&self, event: &E) {
        let payload = serde_json::to_vec(event).expect("events serialise");
        self.send(E::TOPIC, event.key(), payload, vec![]).await;
    }

    pub async fn send(
        &self,
        topic: &str,
        key: String,
        payload: Vec<u8>,
        headers: Vec<(String, String)>,
    ) {
        let record = Record {
            topic: topic.to_owned(),
            key,
            payload,
            headers,
        };
        for result in self.producer.send_all(vec![record]).await {
            result.expect("the broker takes the message");
        }
    }

    /// An access token that is valid by the service's clock.
    pub fn admin(&self) -> String {
        let now = self.clock.now();
        testkit::issuer()
            .access(UserId::new(), Role::Admin, now)
            .expect("the token can be signed")
    }

    /// A captured gift with everything that its mail is written from.
    pub async fn gift(&self, amount: Money) -> Gift {
        let gift = Gift::new(amount);
        self.publish(&gift.campaign).await;
        self.publish(&gift.contact).await;
        self.publish(&gift.captured()).await;
        gift
    }

    /// The deliveries as an admin sees them, newest first.
    pub async fn deliveries(&self, query: &str) -> Value {
        let reply = self.history(query, Some(&self.admin())).await;
        assert_eq!(reply.status(), 200);
        reply.json().await.expect("a page is JSON")
    }

    pub async fn history(&self, query: &str, token: Option<&str>) -> reqwest::Response {
        let request = self.service.client.get(
            self.service
                .at(&format!("/api/admin/notifications/deliveries{query}")),
        );
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.expect("the service answers")
    }

    /// Waits until the delivery of a gift is as asked.
    pub async fn delivery(&self, gift: &Gift, is: impl Fn(&Value) -> bool) -> Value {
        testkit::eventually("the delivery is as asked", async || {
            let page = self.deliveries("?limit=100").await;

            let found = page["data"]
                .as_array()?
                .iter()
                .find(|found| found["payment_id"] == gift.payment_id.to_string())?;
            is(found).then(|| found.clone())
        })
        .await
    }
}

pub async fn replica(
    database: &Database,
    kafka: &kafka::Config,
    clock: &Clock,
    smtp: &str,
    feed: FeedLimits,
) -> Running {
    let config = Config {
        db: database.config(),
        kafka: kafka.clone(),
        jwt_public_keys: testkit::public_keys(),
        smtp_url: smtp.into(),
        mail_from: "CareForAll <thanks@careforall.example>".to_owned(),
        feed,
        clock: clock.clone(),
    };
    testkit::serve(|listener, life| notification::run(config, listener, life)).await
}

pub fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

/// A payment and what belongs to it.
pub struct Gift {
    pub payment_id: PaymentId,
    pub contact: ContactState,
    pub campaign: CampaignState,
    pub payment: PaymentEvent,
}

impl Gift {
    /// A gift whose payment has just been set up.
    pub fn new(amount: Money) -> Self {
        let pledge_id = PledgeId::new();
        let payment_id = PaymentId::of(pledge_id, 1);
        let (campaign_id, contact_id) = (CampaignId::new(), ContactId::new());
        let occurred_at = Clock::system().now();
        let contact = ContactState {
            contact_id,
            name: "Ada".into(),
            email: format!("ada+{contact_id}@example.org"),
            version: 1,
            occurred_at,
        };
        let campaign = CampaignState {
            kind: CampaignKind::Approved,
            campaign_id,
            organiser_id: UserId::new(),
            title: "Clean water for Koyra".into(),
            status: CampaignStatus::Active,
            goal: Money::new(1_000_000, amount.currency),
            minimum: 100,
            ends_at: None,
            capture: Capture::Automatic,
            moved_by: None,
            version: 1,
            occurred_at,
        };
        let payment = PaymentEvent {
            kind: PaymentKind::Created,
            payment_id,
            pledge_id,
            campaign_id,
            donor_id: None,
            donor_ref: "00".repeat(32),
            contact_id,
            attempt: 1,
            state: State::Pending,
            previous: None,
            implied: vec![],
            amount,
            extras: Extras::default(),
            authorized: 0,
            captured: 0,
            refunded: 0,
            disputed: 0,
            provider: "stripe".into(),
            provider_ref: None,
            failure: None,
            version: 1,
            occurred_at,
        };
        Self {
            payment_id,
            contact,
            campaign,
            payment,
        }
    }

    /// Its payment in another state, with this much captured.
    pub fn at(&self, kind: PaymentKind, state: State, captured: i64) -> PaymentEvent {
        PaymentEvent {
            kind,
            state,
            previous: Some(State::Pending),
            captured,
            authorized: captured,
            version: 2,
            ..self.payment.clone()
        }
    }

    pub fn captured(&self) -> PaymentEvent {
        self.at(
            PaymentKind::Captured,
            State::Captured,
            self.payment.amount.minor,
        )
    }
}
