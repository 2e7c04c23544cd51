//! One pledge service with a campaign that takes gifts.

use chassis::{clock::Clock, kafka};
use chrono::{DateTime, Duration, Utc};
use common::{
    auth::tokens::Signer,
    events::{CampaignKind, CampaignState, CampaignStatus, Capture},
    ids::{CampaignId, UserId},
    money::{Currency, Money},
};
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
        let database = Database::create("pledge", &pledge::MIGRATOR).await;
        let kafka = testkit::kafka();
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

    pub async fn count(&self) -> i64 {
        sqlx::query_scalar("select count(*) from pledges")
            .fetch_one(&self.database.pool())
            .await
            .expect("pledges can be counted")
    }
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
