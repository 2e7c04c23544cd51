//! Bad orders of an admin: each is refused with a code of its own, is never a 500, and nothing is done.

use common::{auth::Role, events::Capture, ids::UserId};
use payment::domain::Kind;
use reqwest::{Method, RequestBuilder, header::HeaderValue};
use serde_json::{Value, json};
use testkit::{problem_code, user_token};
use uuid::Uuid;

use crate::{
    exceptions::open,
    world::{Gift, World},
};

/// What an admin can order of the payment, dispute and matter that there are, with a body that would do.
struct Order {
    method: Method,
    path: String,
    /// The same with an id that is none, where there is an id in it.
    nowhere: Option<String>,
    body: Option<Value>,
}

impl Order {
    fn of(path: &str, id: &str, nowhere: &str, body: Option<Value>) -> Self {
        Self {
            method: Method::POST,
            path: path.replace("{id}", id),
            nowhere: path.contains("{id}").then(|| path.replace("{id}", nowhere)),
            body,
        }
    }

    fn request(&self, world: &World, path: &str) -> RequestBuilder {
        let admin = user_token(UserId::from(Uuid::nil()), Role::Admin);
        let url = world.service.at(path);
        let request = world.service.client.request(self.method.clone(), url);
        request.bearer_auth(admin)
    }

    /// With a key, and this text as JSON.
    fn with(&self, world: &World, body: impl Into<String>) -> RequestBuilder {
        let body: String = body.into();
        let request = keyed(self.request(world, &self.path));
        request
            .header("content-type", "application/json")
            .body(body)
    }
}

fn keyed(request: RequestBuilder) -> RequestBuilder {
    request.header("idempotency-key", Uuid::new_v4().to_string())
}

const MATTER: &str = "evt_1";
const DISPUTE: &str = "du_1";

/// Every order but corrections and refunds, which have tables of their own.
fn orders(gift: &Gift) -> Vec<Order> {
    let payment = gift.payment_id.to_string();
    let campaign = gift.ticket.campaign_id.to_string();
    let batch = |step: &str| {
        let path = format!("/api/admin/refund-batches/{{id}}{step}");
        Order::of(&path, &campaign, "x", None)
    };
    let capture = json!({"amount": {"amount": 1000, "currency": "USD"}});
    let evidence = json!({"evidence": {"product_description": "a gift"}});
    let note = json!({"note": "looked at"});
    let mut charging = Order::of(
        "/api/admin/payments/charging",
        "",
        "",
        Some(json!({"paused": true, "reason": "a drill"})),
    );
    charging.method = Method::PUT;
    vec![
        Order::of(
            "/api/admin/payments/{id}/capture",
            &payment,
            "x",
            Some(capture),
        ),
        Order::of("/api/admin/payments/{id}/void", &payment, "x", None),
        batch(""),
        batch("/approve"),
        batch("/pause"),
        batch("/resume"),
        Order::of("/api/admin/disputes/{id}/accept", DISPUTE, "%00", None),
        Order::of(
            "/api/admin/disputes/{id}/evidence",
            DISPUTE,
            "%00",
            Some(evidence),
        ),
        Order::of(
            "/api/admin/exceptions/PARKED/{id}/close",
            MATTER,
            "%00",
            Some(note),
        ),
        Order::of(
            "/api/admin/webhooks/{id}/replay",
            MATTER,
            "evt_of_nobody",
            None,
        ),
        Order::of("/api/admin/reconciliation/runs", "", "", None),
        charging,
    ]
}

/// A payment whose money is held, a dispute and a matter.
async fn set(world: &World) -> Gift {
    let gift = world.gift_of(2500, Capture::Manual, None);
    let opened = world.open(&gift).await;
    world.psp.confirm(&opened, "pm_card_visa").await;
    let verdict = world.verdict(&gift.authorized(&opened.intent)).await;
    assert_eq!(verdict, "APPLIED");
    sqlx::query(
        "insert into disputes (dispute_id, payment_id, amount_minor, currency, reason, status, evidence_due,
             withdrawn_minor, fee_minor, transactions, seen_at, opened_at, updated_at)
         values ($1, $2, 2500, 'USD', 'general', 'needs_response', now() + interval '1 day', 0, 0, '{}', now(), now(), now())",
    )
    .bind(DISPUTE)
    .bind(gift.payment_id.get())
    .execute(&world.pool)
    .await
    .unwrap();
    open(world, Kind::Parked, MATTER, 1).await;
    gift
}

/// How much has been ordered so far, of each kind.
async fn ordered(world: &World) -> Vec<i64> {
    sqlx::query_scalar(
        "select array[
             (select count(*) from idempotency),
             (select count(*) from captures),
             (select count(*) from refunds),
             (select count(*) from refund_batches),
             (select count(*) from control_changes),
             (select count(*) from webhook_rulings),
             (select count(*) from reconciliation_runs where cause = 'admin'),
             (select count(*) from exceptions where closed_at is not null),
             (select count(*) from disputes where status <> 'needs_response'),
             (select count(*) from payments where state <> 'AUTHORIZED')]",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

async fn refused(what: &str, request: RequestBuilder, status: u16, code: &str) {
    let reply = request.send().await.unwrap();
    assert_eq!(reply.status().as_u16(), status, "{what}");
    assert_eq!(problem_code(reply).await, code, "{what}");
}

#[tokio::test]
async fn an_order_that_is_none_is_refused_and_nothing_is_done() {
    let world = World::start().await;
    let gift = set(&world).await;
    let before = ordered(&world).await;
    for order in orders(&gift) {
        let path = &order.path;
        let with_body = |request: RequestBuilder| match &order.body {
            Some(body) => request.json(body),
            None => request,
        };
        if let Some(nowhere) = &order.nowhere {
            let request = with_body(keyed(order.request(&world, nowhere)));
            refused(nowhere, request, 404, "not_found").await;
        }
        let missing = with_body(order.request(&world, path));
        refused(path, missing, 400, "idempotency_key_missing").await;
        let keys = [
            HeaderValue::from_static("1234567"),
            HeaderValue::from_str(&"k".repeat(256)).unwrap(),
            HeaderValue::from_bytes(b"key-\xc3\xa9-0001").unwrap(),
        ];
        for key in keys {
            let what = format!("{path} with {key:?}");
            let request = order.request(&world, path).header("idempotency-key", key);
            refused(&what, with_body(request), 400, "idempotency_key_invalid").await;
        }
        refused(path, order.with(&world, "{"), 400, "malformed_json").await;
        let deep = "[".repeat(200);
        refused(path, order.with(&world, deep), 400, "malformed_json").await;
        let Some(body) = &order.body else { continue };
        refused(path, order.with(&world, ""), 400, "malformed_json").await;
        let mut more = body.clone();
        more["is_admin"] = true.into();
        for other in [&more, &json!(7), &json!([]), &json!("text"), &Value::Null] {
            let what = format!("{path} with {other}");
            let request = order.with(&world, other.to_string());
            refused(&what, request, 422, "invalid_body").await;
        }
        let plain = keyed(order.request(&world, path)).header("content-type", "text/plain");
        let plain = plain.body(body.to_string());
        refused(path, plain, 415, "unsupported_media_type").await;
        let huge = format!("{{\"x\":\"{}\"}}", "x".repeat(65 << 10));
        refused(path, order.with(&world, huge), 413, "body_too_large").await;
    }
    assert_eq!(ordered(&world).await, before, "something was done");
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_told_why_and_nothing_is_done() {
    let world = World::start().await;
    let gift = set(&world).await;
    let before = ordered(&world).await;
    let payment = gift.payment_id;
    let capture = format!("/api/admin/payments/{payment}/capture");
    let money =
        |amount: Value, currency: &str| json!({"amount": {"amount": amount, "currency": currency}});
    let evidence = format!("/api/admin/disputes/{DISPUTE}/evidence");
    let told = |name: &str, text: Value| json!({"evidence": {name: text}});
    let close = format!("/api/admin/exceptions/PARKED/{MATTER}/close");
    let note = |note: Value| json!({"note": note});
    let charging = "/api/admin/payments/charging".to_owned();
    let reason = |reason: Value| json!({"paused": true, "reason": reason});
    let unknown = Uuid::new_v4();
    let long = || json!("x".repeat(501));
    let nul = || json!("a\0b");
    let none = Value::Null;
    let amount = "invalid_amount";
    let told_of = "product_description";
    let table = [
        (
            &capture,
            422,
            amount,
            vec![
                money(json!(0), "USD"),
                money(json!(-1), "USD"),
                money(json!(2501), "USD"),
                money(json!(i64::MAX), "USD"),
                money(json!(1000), "EUR"),
                money(json!(1.5), "USD"),
                money(json!("25"), "USD"),
                money(json!(9_223_372_036_854_775_808_u64), "USD"),
                money(json!(1000), "XQX"),
                money(json!(1000), "U\0D"),
            ],
        ),
        (
            &capture,
            422,
            "invalid_body",
            vec![
                json!({"amount": 1000}),
                json!({"amount": {"amount": 1000, "currency": "USD", "exponent": 2}}),
            ],
        ),
        (
            &evidence,
            422,
            "invalid_evidence",
            vec![
                json!({"evidence": {}}),
                told("receipt", json!("a file")),
                told(told_of, json!(" ")),
                told(told_of, json!("x".repeat(20_001))),
                told(told_of, nul()),
                told("\0", json!("x")),
            ],
        ),
        (
            &evidence,
            422,
            "invalid_body",
            vec![json!({}), told(told_of, json!(7))],
        ),
        (
            &close,
            422,
            "invalid_reason",
            vec![note(json!(" ")), note(long()), note(nul())],
        ),
        (
            &close,
            422,
            "invalid_body",
            vec![json!({}), note(json!(7)), note(none.clone())],
        ),
        (
            &charging,
            422,
            "invalid_reason",
            vec![reason(json!("")), reason(long()), reason(nul())],
        ),
        (
            &charging,
            422,
            "invalid_body",
            vec![
                json!({}),
                json!({"paused": true}),
                json!({"paused": "yes", "reason": "a drill"}),
                reason(json!(7)),
            ],
        ),
    ];
    for (path, status, code, bodies) in table {
        let method = if *path == charging {
            Method::PUT
        } else {
            Method::POST
        };
        for body in bodies {
            let reply = world.admin(method.clone(), path, &body).await;
            let body: String = body.to_string().chars().take(200).collect();
            assert_eq!(reply.status().as_u16(), status, "{path} {body}");
            assert_eq!(problem_code(reply).await, code, "{path} {body}");
        }
    }
    let replay = |how: &str| format!("/api/admin/webhooks/{MATTER}/replay?dry_run={how}");
    let of_nothing = [
        (
            format!("/api/admin/payments/{unknown}/capture"),
            json!({}),
            404,
            "not_found",
        ),
        (
            format!("/api/admin/payments/{unknown}/void"),
            none.clone(),
            404,
            "not_found",
        ),
        (
            format!("/api/admin/refund-batches/{unknown}"),
            none.clone(),
            404,
            "not_found",
        ),
        (
            format!("/api/admin/refund-batches/{unknown}/approve"),
            none.clone(),
            404,
            "not_found",
        ),
        (
            format!("/api/admin/refund-batches/{unknown}/pause"),
            none.clone(),
            404,
            "not_found",
        ),
        (
            format!("/api/admin/refund-batches/{unknown}/resume"),
            none.clone(),
            404,
            "not_found",
        ),
        (
            "/api/admin/disputes/du_2/accept".to_owned(),
            none.clone(),
            404,
            "not_found",
        ),
        (
            "/api/admin/exceptions/PARKED/evt_2/close".to_owned(),
            note(json!("x")),
            404,
            "not_found",
        ),
        (
            "/api/admin/exceptions/LOST/evt_1/close".to_owned(),
            note(json!("x")),
            404,
            "not_found",
        ),
        (replay("false"), none.clone(), 404, "not_found"),
        (replay("perhaps"), none.clone(), 400, "invalid_query"),
        (replay("%00"), none, 400, "invalid_query"),
    ];
    for (path, body, status, code) in of_nothing {
        let reply = world.admin(Method::POST, &path, &body).await;
        assert_eq!(reply.status().as_u16(), status, "{path}");
        assert_eq!(problem_code(reply).await, code, "{path}");
    }
    assert_eq!(ordered(&world).await, before, "something was done");
}
