//! One running service, the people who call it, and the calls.

use campaign::{Config, MIGRATOR};
use chassis::{clock::Clock, kafka};
use chrono::{DateTime, Utc};
use common::{auth::Role, ids::UserId};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use testkit::{Database, Running};
use uuid::Uuid;

/// When every test begins.
pub const NOON: &str = "2026-03-01T12:00:00Z";

pub struct App {
    pub service: Running,
    pub database: Database,
    pub clock: Clock,
    pub kafka: kafka::Config,
    pub admin: String,
    pub admin_id: UserId,
}

/// Somebody with an account.
pub struct Person {
    pub id: UserId,
    pub token: String,
}

impl App {
    pub async fn start() -> Self {
        let database = Database::create("campaign", &MIGRATOR).await;
        let clock = Clock::fixed(at(NOON));
        let kafka = testkit::kafka();
        let config = config(&database, &kafka, &clock);
        let service = testkit::serve(|listener, life| campaign::run(config, listener, life)).await;
        let admin_id = UserId::new();
        let admin = token(admin_id, Role::Admin, &clock);
        Self {
            service,
            database,
            clock,
            kafka,
            admin,
            admin_id,
        }
    }

    pub fn person(&self) -> Person {
        let id = UserId::new();
        Person {
            id,
            token: token(id, Role::Donor, &self.clock),
        }
    }

    pub async fn get(&self, path: &str, bearer: Option<&str>) -> Response {
        let mut call = self.service.client.get(self.service.at(path));
        if let Some(token) = bearer {
            call = call.bearer_auth(token);
        }
        call.send().await.unwrap()
    }

    /// A POST with a key of its own.
    pub async fn post(&self, path: &str, bearer: &str, body: Option<&Value>) -> Response {
        self.post_as(path, bearer, &key(), body).await
    }

    pub async fn post_as(
        &self,
        path: &str,
        bearer: &str,
        key: &str,
        body: Option<&Value>,
    ) -> Response {
        let mut call = self
            .service
            .client
            .request(Method::POST, self.service.at(path))
            .bearer_auth(bearer)
            .header("idempotency-key", key);
        if let Some(body) = body {
            call = call.json(body);
        }
        call.send().await.unwrap()
    }

    /// A draft's id.
    pub async fn draft(&self, organiser: &Person) -> String {
        let reply = self
            .post("/api/campaigns", &organiser.token, Some(&proposal()))
            .await;
        assert_eq!(reply.status(), 201);
        text(&reply.json::<Value>().await.unwrap()["id"])
    }

    /// The campaign after a move that must succeed.
    pub async fn moved(&self, id: &str, step: &str, bearer: &str) -> Value {
        let explained = ["reject", "cancel", "suspend"].contains(&step);
        let body = explained.then(|| json!({"reason": "too vague"}));
        let reply = self.post(&path(id, step), bearer, body.as_ref()).await;
        assert_eq!(reply.status(), 200, "{step}");
        reply.json().await.unwrap()
    }

    /// A public campaign's id.
    pub async fn active(&self, organiser: &Person) -> String {
        let id = self.draft(organiser).await;
        self.moved(&id, "submit", &organiser.token).await;
        self.moved(&id, "approve", &self.admin).await;
        id
    }

    pub async fn count(&self, table: &str) -> i64 {
        let pool = self.database.pool();
        let count = match table {
            "campaigns" => sqlx::query_scalar("select count(*) from campaigns"),
            "idempotency" => sqlx::query_scalar("select count(*) from idempotency"),
            other => panic!("nobody counts {other}"),
        };
        count.fetch_one(&pool).await.unwrap()
    }
}

pub fn config(database: &Database, kafka: &kafka::Config, clock: &Clock) -> Config {
    Config {
        db: database.config(),
        cache: testkit::cache(),
        kafka: kafka.clone(),
        jwt_public_keys: testkit::public_keys(),
        clock: clock.clone(),
    }
}

pub fn token(id: UserId, role: Role, clock: &Clock) -> String {
    testkit::issuer().access(id, role, clock.now()).unwrap()
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn key() -> String {
    Uuid::new_v4().to_string()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Where a move is made.
pub fn path(id: &str, step: &str) -> String {
    match step {
        "approve" | "reject" | "suspend" | "resume" => format!("/api/admin/campaigns/{id}/{step}"),
        _ => format!("/api/campaigns/{id}/{step}"),
    }
}

/// A proposal that breaks no rule.
pub fn proposal() -> Value {
    json!({
        "title": "Clean water",
        "story": "Two hundred families drink from the river.\nHelp.",
        "category": "water",
        "goal": {"amount": 500_000, "currency": "USD"},
    })
}

/// The same with one member replaced, or taken away by null.
pub fn proposal_with(member: &str, value: Value) -> Value {
    let mut body = proposal();
    let members = body.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(member);
    } else {
        members.insert(member.to_owned(), value);
    }
    body
}
