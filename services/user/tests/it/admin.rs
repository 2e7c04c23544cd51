use chassis::env::Env;
use serde_json::Value;
use testkit::Database;
use user::{Config, FirstAdmin};

use crate::helpers::{PASSWORD, config};

const EMAIL: &str = "admin@example.org";

async fn start(database: &Database) -> testkit::Running {
    let mut config = config(database);
    config.admin = Some(FirstAdmin::parse(EMAIL, PASSWORD).unwrap());
    testkit::serve(|listener, life| user::run(config, listener, life)).await
}

async fn role_after_login(service: &testkit::Running) -> Value {
    let body = serde_json::json!({"email": EMAIL, "password": PASSWORD});
    let reply = service
        .client
        .post(service.at("/api/auth/login"))
        .json(&body)
        .send()
        .await
        .unwrap();
    reply.json::<Value>().await.unwrap()["user"]["role"].clone()
}

#[tokio::test]
async fn replicas_that_start_at_once_make_one_admin_who_can_log_in() {
    let database = Database::create("users", &user::MIGRATOR).await;
    let (one, two) = tokio::join!(start(&database), start(&database));
    let again = start(&database).await;
    for service in [&one, &two, &again] {
        assert_eq!(role_after_login(service).await, "ADMIN");
    }
    let accounts: i64 = sqlx::query_scalar("select count(*) from accounts")
        .fetch_one(&database.pool())
        .await
        .unwrap();
    assert_eq!(accounts, 1);
}

#[tokio::test]
async fn whoever_registered_the_address_first_is_not_promoted() {
    let database = Database::create("users", &user::MIGRATOR).await;
    let first = testkit::serve(|listener, life| user::run(config(&database), listener, life)).await;
    let body = serde_json::json!({"email": EMAIL, "password": PASSWORD, "name": "Eve"});
    first
        .client
        .post(first.at("/api/auth/register"))
        .json(&body)
        .send()
        .await
        .unwrap();
    let second = start(&database).await;
    assert_eq!(role_after_login(&second).await, "DONOR");
}

#[test]
fn an_admin_needs_an_address_and_a_password_that_a_donor_could_register_with() {
    assert!(FirstAdmin::parse("admin", PASSWORD).is_err());
    let refused = FirstAdmin::parse(EMAIL, "admin123").err().unwrap();
    assert!(
        refused.starts_with("ADMIN_PASSWORD") && !refused.contains("admin123"),
        "{refused}"
    );
}

#[test]
fn half_an_admin_is_a_mistake_that_is_named() {
    let mut env = Env::of([("ADMIN_EMAIL", EMAIL), ("ARGON2_PARALLEL", "0")]);
    let config = Config::read(&mut env);
    assert!(config.admin.is_none());
    assert_eq!(config.argon2_parallel, 1);
    let problem = env.finish(config).err().unwrap().to_string();
    assert!(
        problem.contains("ADMIN_EMAIL and ADMIN_PASSWORD come together"),
        "{problem}"
    );
    for missing in [
        "DATABASE_URL",
        "JWT_PRIVATE_KEY",
        "JWT_PUBLIC_KEYS",
        "DONOR_REF_SECRET",
    ] {
        assert!(problem.contains(missing), "{problem}");
    }
}
