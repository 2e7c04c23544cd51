//! One user service with a database and topics of its own.

use std::time::Duration;

use chassis::{
    clock::Clock,
    kafka::{self, Fault, Handler, Kafka, Message},
    lifecycle::Lifecycle,
};
use common::events::topics::Topic;
use serde_json::{Value, json};
use testkit::{Database, Running};
use tokio::sync::mpsc;
use user::Config;

/// A password that nobody has tried before.
pub const PASSWORD: &str = "correct horse battery staple";
/// The secret behind the pseudonyms.
pub const DONOR_REF_SECRET: &str = "a donor-ref secret of more than thirty-two bytes";

/// The service under test and what it stands on.
pub struct TestApp {
    pub service: Running,
    pub clock: Clock,
    pub kafka: kafka::Config,
    pub database: Database,
}

impl TestApp {
    pub async fn start() -> Self {
        let database = Database::create("users", &user::MIGRATOR).await;
        let config = config(&database);
        let (clock, kafka) = (config.clock.clone(), config.kafka.clone());
        let service = testkit::serve(|listener, life| user::run(config, listener, life)).await;
        Self {
            service,
            clock,
            kafka,
            database,
        }
    }

    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        self.service
            .client
            .post(self.service.at(path))
            .json(body)
            .send()
            .await
            .expect("the service answers")
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> reqwest::Response {
        let request = self.service.client.get(self.service.at(path));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.expect("the service answers")
    }

    pub async fn register(&self, email: &str) -> reqwest::Response {
        self.post(
            "/api/auth/register",
            &json!({"email": email, "password": PASSWORD, "name": "Ada"}),
        )
        .await
    }

    pub async fn login(&self, email: &str) -> reqwest::Response {
        self.post(
            "/api/auth/login",
            &json!({"email": email, "password": PASSWORD}),
        )
        .await
    }

    pub async fn refresh(&self, token: &str) -> reqwest::Response {
        self.post("/api/auth/refresh", &json!({"refresh_token": token}))
            .await
    }

    /// Registers and logs in.
    pub async fn session(&self, email: &str) -> Value {
        assert_eq!(self.register(email).await.status(), 202);
        let reply = self.login(email).await;
        assert_eq!(reply.status(), 200);
        reply.json().await.expect("a session is JSON")
    }

    pub async fn accounts(&self) -> i64 {
        sqlx::query_scalar("select count(*) from accounts")
            .fetch_one(&self.database.pool())
            .await
            .expect("accounts can be counted")
    }

    /// Stops every account from being used.
    pub async fn suspend_all(&self) {
        sqlx::query("update accounts set status = 'SUSPENDED'")
            .execute(&self.database.pool())
            .await
            .expect("accounts can be changed");
    }
}

pub fn config(database: &Database) -> Config {
    Config {
        db: database.config(),
        kafka: testkit::kafka(),
        jwt_private_key: testkit::private_key(),
        jwt_public_keys: testkit::public_keys(),
        donor_ref_secret: DONOR_REF_SECRET.into(),
        admin: None,
        argon2_parallel: 2,
        clock: Clock::fixed(Clock::system().now()),
    }
}

/// The text of a token in a reply.
pub fn token<'a>(session: &'a Value, name: &str) -> &'a str {
    session[name].as_str().expect("a session has both tokens")
}

/// Status, body without its trace id, of a problem reply.
pub async fn problem(reply: reqwest::Response) -> (u16, Value) {
    let status = reply.status().as_u16();
    assert_eq!(reply.headers()["content-type"], "application/problem+json");
    let mut body: Value = reply.json().await.expect("a problem is JSON");
    body.as_object_mut()
        .expect("a problem is an object")
        .remove("trace_id");
    (status, body)
}

/// Reads topics from their beginning.
pub struct Reader {
    messages: mpsc::UnboundedReceiver<Message>,
    life: Lifecycle,
}

struct Collect(mpsc::UnboundedSender<Message>);

impl Handler for Collect {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        for message in batch {
            let _ = self.0.send(message.clone());
        }
        Ok(())
    }
}

impl Reader {
    pub fn of(config: &kafka::Config, topics: &[Topic]) -> Self {
        let (sender, messages) = mpsc::unbounded_channel();
        let life = Lifecycle::new();
        let topics: Vec<_> = topics.iter().map(|topic| (*topic).into()).collect();
        Kafka::new(config).consume("reader", &topics, Collect(sender), &life);
        Self { messages, life }
    }

    pub async fn next(&mut self) -> Message {
        let next = tokio::time::timeout(Duration::from_secs(30), self.messages.recv()).await;
        next.expect("a message comes").expect("the reader goes on")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.life.stop();
    }
}
