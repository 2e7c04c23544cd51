//! What holds for every route and every statement.

use std::path::Path;

use campaign::MIGRATOR;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Database, problem_code};
use uuid::Uuid;

use crate::helpers::App;

fn operations() -> Vec<(String, String, Value)> {
    let document = serde_json::to_value(campaign::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| -> Vec<(String, String, Value)> {
        let methods = item.as_object().unwrap().iter();
        methods
            .map(|(method, operation)| (method.clone(), path.clone(), operation.clone()))
            .collect()
    };
    paths.iter().flat_map(of).collect()
}

#[tokio::test]
async fn every_unsafe_call_needs_its_key() {
    let app = App::start().await;
    let mut tried = 0;
    for (method, path, _) in operations()
        .into_iter()
        .filter(|(method, ..)| method != "get")
    {
        let path = path.replace("{id}", &Uuid::now_v7().to_string());
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        for (key, code) in [
            (None, "idempotency_key_missing"),
            (Some("short"), "idempotency_key_invalid"),
            (Some(&*"x".repeat(256)), "idempotency_key_invalid"),
        ] {
            let mut call = app
                .service
                .client
                .request(method.clone(), app.service.at(&path))
                .bearer_auth(&app.admin)
                .json(&json!({}));
            if let Some(key) = key {
                call = call.header("idempotency-key", key);
            }
            let reply = call.send().await.unwrap();
            assert_eq!(reply.status(), 400, "{path}");
            assert_eq!(problem_code(reply).await, code, "{path}");
            tried += 1;
        }
    }
    assert_eq!(tried, 24);
}

#[test]
fn every_operation_is_described() {
    let operations = operations();
    assert_eq!(operations.len(), 10);
    for (method, path, operation) in operations {
        let what = format!("{method} {path}");
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{what}"
        );
        assert!(operation["operationId"].is_string(), "{what}");
        assert!(operation["responses"]["503"].is_object(), "{what}");
        let parameters = operation["parameters"].as_array();
        let keyed = parameters.is_some_and(|list| {
            list.iter()
                .any(|one| one["name"] == "Idempotency-Key" && one["in"] == "header")
        });
        assert_eq!(keyed, method != "get", "{what}");
    }
}

#[tokio::test]
async fn what_is_not_routed_is_a_problem() {
    let app = App::start().await;

    let unknown = app.get("/api/nothing", None).await;
    let wrong = app
        .service
        .client
        .delete(app.service.at("/api/campaigns"))
        .send()
        .await
        .unwrap();

    assert_eq!(unknown.status(), 404);
    assert_eq!(problem_code(unknown).await, "not_found");
    assert_eq!(wrong.status(), 405);
    assert_eq!(problem_code(wrong).await, "method_not_allowed");
}

#[tokio::test]
async fn bodies_that_are_no_json_are_problems() {
    let app = App::start().await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (kind, body, status, code) in [
        ("application/json", "{".to_owned(), 400, "malformed_json"),
        ("application/json", deep, 400, "malformed_json"),
        ("text/plain", "{}".to_owned(), 415, "unsupported_media_type"),
        (
            "application/json",
            format!("{{\"title\":\"{}\"}}", "x".repeat(65 * 1024)),
            413,
            "body_too_large",
        ),
    ] {
        let call = app
            .service
            .client
            .post(app.service.at("/api/campaigns"))
            .bearer_auth(app.person().token)
            .header("idempotency-key", Uuid::new_v4().to_string())
            .header("content-type", kind)
            .body(body);
        let reply = call.send().await.unwrap();
        assert_eq!(reply.status(), status, "{code}");
        assert_eq!(problem_code(reply).await, code);
    }
    assert_eq!(app.count("campaigns").await, 0);
}

#[tokio::test]
async fn every_statement_fits_the_schema_and_reads_no_whole_table() {
    let database = Database::create("campaign", &MIGRATOR).await;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");

    assert_eq!(testkit::sql::prepare_all(&source, &database).await, 5);
}
