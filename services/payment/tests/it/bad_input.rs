//! Bad requests: each a problem with a code of its own, never 500, and nothing stored.

use common::ids::PledgeId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::problem_code;

use crate::world::{Table, WEBHOOK, World};

/// A request that must be refused; at first a good one.
struct Bad {
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Bad {
    fn post(body: impl Into<String>) -> Self {
        let key = "018f3a5e-7c1d-7000-8000-0123456789ab";
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", key.to_owned()),
        ];
        Self {
            method: Method::POST,
            path: "/api/payments",
            headers,
            body: body.into(),
        }
    }

    fn at(mut self, method: Method, path: &'static str) -> Self {
        (self.method, self.path) = (method, path);
        self
    }

    fn without(mut self, header: &str) -> Self {
        self.headers.retain(|(name, _)| *name != header);
        self
    }

    fn with(self, header: &'static str, value: impl Into<String>) -> Self {
        let mut bad = self.without(header);
        bad.headers.push((header, value.into()));
        bad
    }

    async fn code(self, world: &World) -> (u16, String) {
        let url = world.service.at(self.path);
        let request = world
            .service
            .client
            .request(self.method, url)
            .body(self.body);
        let headed = |request: reqwest::RequestBuilder, (name, value)| request.header(name, value);
        let reply = self
            .headers
            .into_iter()
            .fold(request, headed)
            .send()
            .await
            .unwrap();
        (reply.status().as_u16(), problem_code(reply).await)
    }
}

#[tokio::test]
async fn each_has_its_own_code_and_nothing_is_stored() {
    let world = World::start().await;
    let gift = world.gift();
    let good = || Bad::post(gift.body().to_string());
    let but = |name: &str, value: Value| {
        let mut body = gift.body();
        body[name] = value;
        Bad::post(body.to_string())
    };
    let key = |value: &str| good().with("idempotency-key", value);
    let deep = format!("{{\"pledge_id\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let table = [
        (
            "no key",
            good().without("idempotency-key"),
            400,
            "idempotency_key_missing",
        ),
        (
            "key too long",
            key(&"k".repeat(300)),
            400,
            "idempotency_key_invalid",
        ),
        (
            "guest's key is no UUID",
            key("guessable"),
            400,
            "idempotency_key_invalid",
        ),
        ("bad JSON", Bad::post("{"), 400, "malformed_json"),
        ("depth 200", Bad::post(deep), 400, "malformed_json"),
        (
            "65 KiB",
            but("ticket", json!("x".repeat(65 * 1024))),
            413,
            "body_too_large",
        ),
        ("nothing", Bad::post("{}"), 422, "invalid_body"),
        (
            "pledge is no id",
            but("pledge_id", json!("x")),
            422,
            "invalid_body",
        ),
        (
            "pledge is a number",
            but("pledge_id", json!(7)),
            422,
            "invalid_body",
        ),
        (
            "unknown field",
            but("amount", json!(1)),
            422,
            "invalid_body",
        ),
        (
            "ticket is a number",
            but("ticket", json!(7)),
            422,
            "invalid_body",
        ),
        (
            "another's ticket",
            but("pledge_id", json!(PledgeId::new())),
            403,
            "ticket_invalid",
        ),
        (
            "no ticket",
            but("ticket", Value::Null),
            403,
            "ticket_required",
        ),
        (
            "content type",
            good().with("content-type", "text/plain"),
            415,
            "unsupported_media_type",
        ),
        (
            "method",
            good().at(Method::PUT, "/api/payments"),
            405,
            "method_not_allowed",
        ),
        (
            "bearer",
            good().with("authorization", "Bearer x"),
            401,
            "invalid_token",
        ),
        (
            "basic",
            good().with("authorization", "Basic x"),
            401,
            "invalid_token",
        ),
        (
            "no such route",
            good().at(Method::GET, "/api/nothing"),
            404,
            "not_found",
        ),
        (
            "unsigned",
            good().at(Method::POST, WEBHOOK),
            401,
            "bad_signature",
        ),
        (
            "provider",
            good().at(Method::POST, "/api/webhooks/psp/paypal"),
            404,
            "not_found",
        ),
        (
            "webhook by GET",
            good().at(Method::GET, WEBHOOK),
            405,
            "method_not_allowed",
        ),
        (
            "checkout",
            good().at(Method::GET, "/api/payments/x/checkout?ticket=y"),
            404,
            "not_found",
        ),
    ];
    for (name, bad, status, code) in table {
        assert_eq!(bad.code(&world).await, (status, code.to_owned()), "{name}");
    }
    for table in [Table::Payments, Table::Webhooks, Table::Idempotency] {
        assert_eq!(world.count(table).await, 0);
    }
    assert_eq!(world.psp.intents().await, 0);
    assert_eq!(world.post(&gift.body()).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_cursor_that_no_list_gave_is_refused_before_the_database_sees_it() {
    let world = World::start().await;
    let lists = [
        "/api/admin/disputes?",
        "/api/admin/webhooks?",
        "/api/admin/webhooks?verdict=PARKED&",
        "/api/admin/webhooks?verdict=REJECTED&",
        "/api/admin/exceptions?",
        "/api/admin/ledger/accounts/fees/entries?",
        "/api/admin/payments?",
    ];
    // Years before the first and after the last, and the character that no text holds, where a kind stands and where none does.
    let cursors = [
        "x",
        "1.%00",
        "1.PARKED.%00",
        "-300000000000000000.evt_1",
        "-300000000000000000.PARKED.evt_1",
        "9223372036854775807.evt_1",
        "9223372036854775807.PARKED.evt_1",
    ];
    for list in lists {
        for cursor in cursors {
            let path = format!("{list}cursor={cursor}");
            let refused = world.admin(Method::GET, &path, &Value::Null).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(problem_code(refused).await, "invalid_cursor", "{path}");
        }
    }
}
