//! Bad requests: each a problem with a code of its own, never 500, and nothing stored.

use common::ids::PledgeId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::problem_code;
use uuid::Uuid;

use crate::world::{Table, World};

async fn code(
    world: &World,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> (u16, String) {
    let request = world
        .service
        .client
        .request(method, world.service.at(path))
        .body(body);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let reply = request.send().await.unwrap();
    (reply.status().as_u16(), problem_code(reply).await)
}

#[tokio::test]
async fn each_has_its_own_code_and_nothing_is_stored() {
    let world = World::start().await;
    let gift = world.gift();
    let key = Uuid::new_v4().to_string();
    let long = "k".repeat(300);
    let json = ("content-type", "application/json");
    let keyed: &[(&str, &str)] = &[json, ("idempotency-key", &key)];
    let body = gift.body().to_string();
    let deep = format!("{{\"pledge_id\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let with = |name: &str, value: Value| {
        let mut body = gift.body();
        body[name] = value;
        body.to_string()
    };
    let path = "/api/payments";
    let table: Vec<(&str, Method, &str, &[(&str, &str)], String, u16, &str)> = vec![
        (
            "no key",
            Method::POST,
            path,
            &[json],
            body.clone(),
            400,
            "idempotency_key_missing",
        ),
        (
            "key too long",
            Method::POST,
            path,
            &[json, ("idempotency-key", &long)],
            body.clone(),
            400,
            "idempotency_key_invalid",
        ),
        (
            "guest's key is no UUID",
            Method::POST,
            path,
            &[json, ("idempotency-key", "guessable")],
            body.clone(),
            400,
            "idempotency_key_invalid",
        ),
        (
            "bad JSON",
            Method::POST,
            path,
            keyed,
            "{".to_owned(),
            400,
            "malformed_json",
        ),
        (
            "depth 200",
            Method::POST,
            path,
            keyed,
            deep,
            400,
            "malformed_json",
        ),
        (
            "65 KiB",
            Method::POST,
            path,
            keyed,
            with("ticket", json!("x".repeat(65 * 1024))),
            413,
            "body_too_large",
        ),
        (
            "no pledge",
            Method::POST,
            path,
            keyed,
            "{}".to_owned(),
            422,
            "invalid_body",
        ),
        (
            "pledge is no id",
            Method::POST,
            path,
            keyed,
            with("pledge_id", json!("x")),
            422,
            "invalid_body",
        ),
        (
            "pledge is a number",
            Method::POST,
            path,
            keyed,
            with("pledge_id", json!(7)),
            422,
            "invalid_body",
        ),
        (
            "unknown field",
            Method::POST,
            path,
            keyed,
            with("amount", json!(1)),
            422,
            "invalid_body",
        ),
        (
            "ticket is a number",
            Method::POST,
            path,
            keyed,
            with("ticket", json!(7)),
            422,
            "invalid_body",
        ),
        (
            "another's ticket",
            Method::POST,
            path,
            keyed,
            with("pledge_id", json!(PledgeId::new())),
            403,
            "ticket_invalid",
        ),
        (
            "no ticket",
            Method::POST,
            path,
            keyed,
            json!({"pledge_id": gift.ticket.pledge_id}).to_string(),
            403,
            "ticket_required",
        ),
        (
            "wrong content type",
            Method::POST,
            path,
            &[("content-type", "text/plain"), ("idempotency-key", &key)],
            body.clone(),
            415,
            "unsupported_media_type",
        ),
        (
            "wrong method",
            Method::PUT,
            path,
            keyed,
            body.clone(),
            405,
            "method_not_allowed",
        ),
        (
            "bad bearer",
            Method::POST,
            path,
            &[
                json,
                ("idempotency-key", &key),
                ("authorization", "Bearer x"),
            ],
            body.clone(),
            401,
            "invalid_token",
        ),
        (
            "basic bearer",
            Method::POST,
            path,
            &[
                json,
                ("idempotency-key", &key),
                ("authorization", "Basic x"),
            ],
            body.clone(),
            401,
            "invalid_token",
        ),
        (
            "no such route",
            Method::GET,
            "/api/nothing",
            &[],
            String::new(),
            404,
            "not_found",
        ),
        (
            "unsigned webhook",
            Method::POST,
            "/api/webhooks/psp/stripe",
            &[json],
            "{}".to_owned(),
            401,
            "bad_signature",
        ),
        (
            "other provider",
            Method::POST,
            "/api/webhooks/psp/paypal",
            &[json],
            "{}".to_owned(),
            404,
            "not_found",
        ),
        (
            "webhook by GET",
            Method::GET,
            "/api/webhooks/psp/stripe",
            &[],
            String::new(),
            405,
            "method_not_allowed",
        ),
        (
            "checkout of no id",
            Method::GET,
            "/api/payments/x/checkout?ticket=y",
            &[],
            String::new(),
            404,
            "not_found",
        ),
    ];
    for (name, method, path, headers, body, status, expected) in table {
        let answered = code(&world, method, path, headers, body).await;
        assert_eq!(answered, (status, expected.to_owned()), "{name}");
    }
    for table in [Table::Payments, Table::Webhooks, Table::Idempotency] {
        assert_eq!(world.count(table).await, 0);
    }
    assert_eq!(world.psp.intents().await, 0);
    assert_eq!(world.post(&gift.body()).await.status(), StatusCode::CREATED);
}
