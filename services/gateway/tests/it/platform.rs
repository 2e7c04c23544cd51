//! What the gateway tells of the whole platform.

use axum::{Router, routing::get};
use chassis::{env::Env, http::Json, lifecycle::Lifecycle};
use gateway::{Config, routes::Service};
use http::StatusCode;
use serde_json::{Value, json};

use crate::helpers::{Fleet, closed_port, json_of, serve};

async fn healthy_as(status: StatusCode, health: Value, life: &Lifecycle) -> String {
    let reply = move || {
        let health = health.clone();
        async move { (status, Json(health)) }
    };
    serve(
        Router::new()
            .route("/readyz", get(async || "ready"))
            .route("/health", get(reply)),
        life,
    )
    .await
}

#[tokio::test]
async fn health_is_composed_of_every_service() {
    let fleet = Fleet::start().await;
    let reply = fleet.get("/health").await;
    assert_eq!(reply.status(), 200);
    let health = json_of(reply).await;
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["services"].as_object().unwrap().len(), 6);
    for service in Service::ALL {
        assert_eq!(
            health["services"][service.name()],
            json!({"status": "healthy", "checks": {"database": "up"}})
        );
    }
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_service_without_its_broker_is_degraded_and_one_without_its_database_is_down() {
    let life = Lifecycle::new();
    let degraded = json!({"status": "degraded", "checks": {"database": "up", "kafka": "down"}});
    let degraded_url = healthy_as(StatusCode::OK, degraded.clone(), &life).await;
    let fleet = Fleet::with(&[(Service::Pledge, degraded_url.clone())], |_| {}).await;
    let reply = fleet.get("/health").await;
    assert_eq!(reply.status(), 200);
    let health = json_of(reply).await;
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["services"]["pledge"], degraded);

    let down = json!({"status": "unhealthy", "checks": {"database": "down"}});
    let down_url = healthy_as(StatusCode::SERVICE_UNAVAILABLE, down.clone(), &life).await;
    let (_port, gone) = closed_port();
    let fleet = Fleet::with(
        &[
            (Service::Pledge, down_url.clone()),
            (Service::Totals, gone),
            (Service::User, format!("{degraded_url},{down_url}")),
        ],
        |_| {},
    )
    .await;
    let reply = fleet.get("/health").await;
    assert_eq!(reply.status(), 503);
    let health = json_of(reply).await;
    assert_eq!(health["status"], "unhealthy");
    assert_eq!(health["services"]["pledge"], down);
    assert_eq!(
        health["services"]["totals"],
        json!({"status": "unhealthy", "checks": {}})
    );
    let user = json!({"status": "degraded", "checks": {"database": "down", "kafka": "down"}});
    assert_eq!(
        health["services"]["user"], user,
        "one of its two processes serves"
    );
    life.stop();
}

#[tokio::test]
async fn the_gateway_is_ready_whatever_is_behind_it_until_it_stops() {
    let (_port, gone) = closed_port();
    let fleet = Fleet::with(&[(Service::Pledge, gone)], |_| {}).await;
    assert_eq!(fleet.get("/readyz").await.status(), 200);
    assert_eq!(fleet.get("/livez").await.text().await.unwrap(), "alive");
    fleet.get("/api/campaigns").await;
    let metrics = fleet.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics
            .contains(r#"http_requests_total{method="GET",route="/api/campaigns",status="200"}"#),
        "{metrics}"
    );
}

async fn describing(document: Value, life: &Lifecycle) -> String {
    let reply = move || {
        let document = document.clone();
        async move { Json(document) }
    };
    serve(
        Router::new()
            .route("/readyz", get(async || "ready"))
            .route("/openapi.json", get(reply)),
        life,
    )
    .await
}

fn document(paths: &[&str], gift: &str) -> Value {
    let item = json!({"get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Gift"}}}}}}});
    let paths: serde_json::Map<_, _> = paths
        .iter()
        .map(|path| ((*path).to_owned(), item.clone()))
        .collect();
    let shared = json!({"type": "object"});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "0"},
        "paths": paths,
        "components": {"schemas": {"Gift": {"type": gift}, "Shared": shared, "List": {"items": {"$ref": "#/components/schemas/Gift"}}}},
    })
}

#[tokio::test]
async fn the_document_is_merged_from_those_of_the_services() {
    let life = Lifecycle::new();
    let pledge = describing(
        document(&["/api/pledges", "/readyz", "/api/campaigns"], "object"),
        &life,
    )
    .await;
    let totals = describing(
        document(&["/api/campaigns/{id}/totals", "/api/totals/{id}"], "array"),
        &life,
    )
    .await;
    let feed = describing(document(&["/api/ws"], "object"), &life).await;
    let fleet = Fleet::with(
        &[
            (Service::Pledge, pledge),
            (Service::Totals, totals),
            (Service::Notification, feed),
        ],
        |_| {},
    )
    .await;
    let reply = fleet.get("/openapi.json").await;
    assert_eq!(reply.headers()["content-type"], "application/json");
    let merged = json_of(reply).await;

    let mut paths: Vec<_> = merged["paths"].as_object().unwrap().keys().collect();
    paths.sort();
    let reachable = [
        "/api/campaigns/{id}/totals",
        "/api/pledges",
        "/api/totals/{id}",
        "/api/ws",
        "/health",
        "/openapi.json",
    ];
    assert_eq!(
        paths, reachable,
        "each from its owner, and nothing that cannot be reached"
    );
    assert_eq!(
        merged["x-missing-services"],
        json!(["user", "campaign", "payment"])
    );

    // Both have a Gift, and not the same one.
    let schemas = &merged["components"]["schemas"];
    assert_eq!(schemas["Gift"], json!({"type": "object"}));
    assert_eq!(schemas["totals.Gift"], json!({"type": "array"}));
    let schema = |path: &str| {
        merged["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].clone()
    };
    assert_eq!(schema("/api/pledges"), "#/components/schemas/Gift");
    assert_eq!(
        schema("/api/totals/{id}"),
        "#/components/schemas/totals.Gift"
    );
    assert_eq!(
        schemas["List"]["items"]["$ref"],
        "#/components/schemas/Gift"
    );
    assert_eq!(
        schemas["totals.List"]["items"]["$ref"], "#/components/schemas/totals.Gift",
        "{schemas}"
    );
    assert!(schemas["ProblemBody"].is_object());
    // What the gateway answers in a service's place is described with the service's own answers.
    for (status, code) in [
        ("408", "body_too_slow"),
        ("502", "upstream_closed"),
        ("503", "upstream_overloaded"),
        ("504", "upstream_timeout"),
    ] {
        let told = &merged["paths"]["/api/pledges"]["get"]["responses"][status];
        let body = &told["content"]["application/problem+json"]["schema"]["allOf"];
        assert_eq!(
            body[0]["$ref"], "#/components/schemas/ProblemBody",
            "{status}"
        );
        let codes = &body[1]["properties"]["code"]["enum"];
        assert_eq!(codes.as_array().unwrap().last().unwrap(), code, "{codes}");
    }
    let told = |path: &str| merged["paths"][path]["get"]["responses"]["429"].to_string();
    assert!(told("/api/ws").contains("too_many_sockets"));
    assert!(!told("/api/pledges").contains("too_many_sockets"));
    life.stop();
}

#[test]
fn every_mistake_in_the_configuration_is_named() {
    let mut env = Env::of([
        ("UPSTREAM_USER", "http://127.0.0.1:1, http://user:3001"),
        ("UPSTREAM_CAMPAIGN", "https://127.0.0.1:1"),
        ("UPSTREAM_PLEDGE", "http://127.0.0.1:1/base"),
        ("UPSTREAM_PAYMENT", "127.0.0.1:1"),
        ("UPSTREAM_TOTALS", "http://a@b:1"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1, ::1"),
        ("RATE_LIMIT_ALLOW", "10.0.0.0/99"),
    ]);
    let config = Config::read(&mut env);
    assert_eq!(config.upstreams[Service::User].len(), 2);
    assert_eq!(config.trusted_proxies.len(), 3);
    let error = env.finish(()).unwrap_err().to_string();
    for name in [
        "UPSTREAM_CAMPAIGN",
        "UPSTREAM_PLEDGE",
        "UPSTREAM_PAYMENT",
        "UPSTREAM_TOTALS",
        "UPSTREAM_NOTIFICATION",
        "JWT_PUBLIC_KEYS",
        "RATE_LIMIT_ALLOW",
    ] {
        assert!(error.contains(name), "{name}: {error}");
    }
    assert!(
        !error.contains("UPSTREAM_USER") && !error.contains("TRUSTED_PROXIES"),
        "{error}"
    );
}
