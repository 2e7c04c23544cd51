//! A running fleet, and what every test needs of it.

use std::{
    collections::BTreeSet,
    process::Child,
    sync::{Mutex, PoisonError},
};

use reqwest::{RequestBuilder, Response, StatusCode, redirect};
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use testkit::eventually;
use tokio::sync::OnceCell;
use uuid::Uuid;
use xtask::fleet::{Fleet, Lock, Options, Secrets};

use super::{caretaker, provider::Provider, spans::Spans, topics::Topics};

/// A running fleet, and the clients to talk to it.
pub struct World {
    /// Base URL of the gateway.
    pub gateway: String,
    /// Base URL of the mailbox.
    pub mail: String,
    /// Where the cache is.
    pub redis_url: String,
    /// A client that follows no redirect.
    pub client: reqwest::Client,
    /// The fleet's database, as superuser; tables are named with their schema.
    pub db: PgPool,
    /// The payment provider.
    pub provider: Provider,
    /// What the services publish.
    pub topics: Topics,
    /// The spans that the services export.
    pub spans: Spans,
    /// The fleet's secrets.
    pub secrets: Secrets,
    pub(super) fleet: Mutex<Fleet>,
    /// The processes that were started with an environment of their own.
    pub(super) altered: Mutex<BTreeSet<String>>,
    pub(super) sentinels: OnceCell<String>,
    admin: OnceCell<String>,
    // In this order: the caretaker's pipe closes first, another fleet may start last.
    _caretaker: Child,
    pub(super) slot: Mutex<Option<Lock>>,
}

impl World {
    /// Starts a fleet that exports the traces which are sampled by who begins them, and no others.
    pub(super) fn start(options: Options, slot: Lock) -> anyhow::Result<Self> {
        let spans = Spans::receive()?;
        let options = options
            .env("*", "OTEL_EXPORTER_OTLP_ENDPOINT", &spans.endpoint)
            .env("*", "OTEL_TRACES_SAMPLER_ARG", "0");
        let database = options
            .backends
            .database_url
            .with_database(&options.database);
        let caretaker = caretaker::appoint(&options.run_dir, &database)?;
        let fleet = options.start()?;
        let client = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self {
            gateway: fleet.gateway(),
            mail: fleet.mail(),
            redis_url: fleet.redis_url().to_owned(),
            provider: Provider::new(&fleet, client.clone()),
            client,
            db: PgPoolOptions::new()
                .max_connections(6)
                .connect_lazy(&database.to_string())?,
            topics: Topics::new(fleet.brokers(), fleet.topic_prefix()),
            spans,
            secrets: fleet.secrets().clone(),
            fleet: Mutex::new(fleet),
            altered: Mutex::default(),
            sentinels: OnceCell::new(),
            admin: OnceCell::new(),
            _caretaker: caretaker,
            slot: Mutex::new(Some(slot)),
        })
    }

    /// A `GET` through the gateway.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.gateway))
    }

    /// A `POST` of JSON through the gateway under an idempotency key.
    pub fn post(&self, path: &str, key: Uuid, body: &Value) -> RequestBuilder {
        self.client
            .post(format!("{}{path}", self.gateway))
            .header("idempotency-key", key.to_string())
            .json(body)
    }

    /// An active campaign for this test alone, in US dollars, which the pledge service knows.
    pub async fn campaign(&self) -> String {
        self.campaign_with(json!({})).await
    }

    /// The same with other terms.
    pub async fn campaign_with(&self, terms: Value) -> String {
        let id = self.draft(terms).await;
        let submit = format!("/api/campaigns/{id}/submit");
        self.administer(&submit, &json!({})).await;
        let approve = format!("/api/admin/campaigns/{id}/approve");
        self.administer(&approve, &json!({ "reason": "looks good" }))
            .await;
        self.until_pledge_knows(&id, "ACTIVE").await;
        id
    }

    /// A campaign that was never submitted.
    pub async fn draft(&self, terms: Value) -> String {
        let mut proposal = json!({
            "title": "A well for Lalibela",
            "story": "Six hundred families walk two hours for water.",
            "category": "water",
            "goal": { "amount": 1_000_000, "currency": "USD" },
        });
        let Value::Object(terms) = terms else {
            panic!("terms are an object");
        };
        proposal.as_object_mut().expect("an object").extend(terms);
        let made = self.administer("/api/campaigns", &proposal).await;
        made["id"]
            .as_str()
            .expect("a campaign has an id")
            .to_owned()
    }

    /// Waits until the pledge service has heard of the campaign.
    pub async fn until_pledge_knows(&self, campaign: &str, status: &str) {
        let campaign: Uuid = campaign.parse().expect("an id");
        eventually("the pledge service knows the campaign", async || {
            sqlx::query_scalar(
                "select 1 from pledge.campaigns where campaign_id = $1 and status = $2",
            )
            .bind(campaign)
            .bind(status)
            .fetch_optional(&self.db)
            .await
            .expect("the projection can be read")
            .map(|_: i32| ())
        })
        .await;
    }

    /// Posts as the first administrator, and gives the body of the success that this must be.
    pub async fn administer(&self, path: &str, body: &Value) -> Value {
        let request = self.post(path, Uuid::new_v4(), body);
        let reply = request.bearer_auth(self.admin().await).send().await;
        success(reply.expect("the gateway answers")).await
    }

    /// An access token of the first administrator.
    pub async fn admin(&self) -> &str {
        let login = || self.log_in(&self.secrets.admin_email, &self.secrets.admin_password);
        self.admin.get_or_init(login).await
    }

    /// Opens an account and gives its access token.
    pub async fn account(&self, email: &str) -> String {
        let password = "correct horse battery staple";
        let body = json!({ "email": email, "password": password, "name": "Grace" });
        let request = self
            .client
            .post(format!("{}/api/auth/register", self.gateway));
        let reply = request
            .json(&body)
            .send()
            .await
            .expect("the gateway answers");
        assert_eq!(reply.status(), StatusCode::ACCEPTED);
        self.log_in(email, password).await
    }

    async fn log_in(&self, email: &str, password: &str) -> String {
        let request = self.client.post(format!("{}/api/auth/login", self.gateway));
        let body = json!({ "email": email, "password": password });
        let reply = request
            .json(&body)
            .send()
            .await
            .expect("the gateway answers");
        let session = success(reply).await;
        session["access_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// Where a service is, for whoever goes around the gateway.
    pub fn url(&self, name: &str) -> String {
        self.fleet().url(name)
    }

    /// What a service tells its monitoring.
    pub async fn metrics(&self, name: &str) -> String {
        let url = format!("{}/metrics", self.url(name));
        let reply = self.client.get(url).send().await;
        reply
            .expect("the service answers")
            .text()
            .await
            .expect("a text")
    }

    /// The logs of all processes, by their names.
    pub fn logs(&self) -> Vec<(String, String)> {
        let fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |name: String| {
            let log = std::fs::read(fleet.log(&name)).expect("a log can be read");
            (name, String::from_utf8_lossy(&log).into_owned())
        };
        fleet.names().into_iter().map(read).collect()
    }

    /// How many rows a query counts.
    pub async fn count(&self, sql: &'static str, id: &str) -> i64 {
        let id: Uuid = id.parse().expect("an id");
        sqlx::query_scalar(sql)
            .bind(id)
            .fetch_one(&self.db)
            .await
            .expect("the rows can be counted")
    }
}

/// The JSON of a reply that must be a success.
pub async fn success(reply: Response) -> Value {
    let (status, url) = (reply.status(), reply.url().path().to_owned());
    let body = reply.text().await.expect("a body");
    assert!(status.is_success(), "{url} answered {status}: {body}");
    serde_json::from_str(&body).expect("JSON")
}
