//! Each kind of bad input has its own code, and none of it is stored.

use chassis::clock::Clock;
use chrono::Duration;
use common::{
    auth::Role,
    ids::{CampaignId, UserId},
};
use reqwest::{RequestBuilder, header::HeaderValue};
use serde_json::{Value, json};
use testkit::problem_code;

use crate::helpers::{Service, key};

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_body_has_its_code_and_stores_nothing() {
    let service = Service::start().await;
    let changed = |path: &str, value: Value| {
        let mut body = service.body();
        *body.pointer_mut(path).expect("the body has this") = value;
        body
    };
    let without = |name: &str| {
        let mut body = service.body();
        body.as_object_mut().expect("an object").remove(name);
        body
    };
    let with = |name: &str, value: Value| {
        let mut body = service.body();
        body[name] = value;
        body
    };
    let table = [
        (
            "amount 0",
            422,
            "amount_out_of_range",
            changed("/amount/amount", json!(0)),
        ),
        (
            "amount -1",
            422,
            "amount_out_of_range",
            changed("/amount/amount", json!(-1)),
        ),
        (
            "below the minimum",
            422,
            "amount_out_of_range",
            changed("/amount/amount", json!(99)),
        ),
        (
            "beyond the maximum",
            422,
            "amount_out_of_range",
            changed("/amount/amount", json!(100_000_000)),
        ),
        (
            "amount 2^63",
            422,
            "invalid_amount",
            changed("/amount/amount", json!(9_223_372_036_854_775_808_u64)),
        ),
        (
            "amount 1.5",
            422,
            "invalid_amount",
            changed("/amount/amount", json!(1.5)),
        ),
        (
            "amount as text",
            422,
            "invalid_amount",
            changed("/amount/amount", json!("25")),
        ),
        (
            "unknown currency",
            422,
            "unknown_currency",
            changed("/amount/currency", json!("XQX")),
        ),
        (
            "another currency",
            422,
            "currency_mismatch",
            changed("/amount/currency", json!("EUR")),
        ),
        (
            "unknown campaign",
            404,
            "campaign_not_found",
            changed("/campaign_id", json!(CampaignId::new())),
        ),
        (
            "campaign id of another shape",
            422,
            "invalid_body",
            changed("/campaign_id", json!("1")),
        ),
        (
            "bad e-mail",
            422,
            "invalid_email",
            changed("/donor/email", json!("ada@")),
        ),
        (
            "an address that mail servers refuse",
            422,
            "invalid_email",
            changed("/donor/email", json!("a..b@example.org")),
        ),
        (
            "line break in the e-mail",
            422,
            "invalid_email",
            changed(
                "/donor/email",
                json!("ada@example.org\r\nBcc: eve@example.org"),
            ),
        ),
        (
            "line break in the name",
            422,
            "invalid_name",
            changed("/donor/name", json!("Ada\r\nBcc: eve@example.org")),
        ),
        (
            "empty name",
            422,
            "invalid_name",
            changed("/donor/name", json!("  ")),
        ),
        (
            "long name",
            422,
            "invalid_name",
            changed("/donor/name", json!("a".repeat(101))),
        ),
        (
            "long message",
            422,
            "invalid_message",
            changed("/message", json!("a".repeat(501))),
        ),
        (
            "control character in the message",
            422,
            "invalid_message",
            changed("/message", json!("\u{7}")),
        ),
        (
            "unknown visibility",
            422,
            "invalid_body",
            changed("/visibility", json!("SECRET")),
        ),
        (
            "unknown field",
            422,
            "invalid_body",
            with("gift_aid", json!(1)),
        ),
        (
            "tip of another shape",
            422,
            "invalid_body",
            with("tip", json!(1)),
        ),
        (
            "tip 1.5",
            422,
            "invalid_tip",
            with("tip", json!({"amount": 1.5, "currency": "USD"})),
        ),
        (
            "tip as text",
            422,
            "invalid_tip",
            with("tip", json!({"amount": "1", "currency": "USD"})),
        ),
        (
            "tip 2^63",
            422,
            "invalid_tip",
            with(
                "tip",
                json!({"amount": 9_223_372_036_854_775_808_u64, "currency": "USD"}),
            ),
        ),
        (
            "tip -1",
            422,
            "tip_out_of_range",
            with("tip", json!({"amount": -1, "currency": "USD"})),
        ),
        (
            "tip beyond the maximum",
            422,
            "tip_out_of_range",
            with("tip", json!({"amount": i64::MAX, "currency": "USD"})),
        ),
        (
            "tip in another currency",
            422,
            "currency_mismatch",
            with("tip", json!({"amount": 1, "currency": "EUR"})),
        ),
        (
            "tip in no currency",
            422,
            "unknown_currency",
            with("tip", json!({"amount": 1, "currency": "XQX"})),
        ),
        (
            "gift and tip beyond the maximum",
            422,
            "charge_out_of_range",
            with("tip", json!({"amount": 99_997_500, "currency": "USD"})),
        ),
        (
            "cover_fee as text",
            422,
            "invalid_body",
            with("cover_fee", json!("yes")),
        ),
        (
            "confirm as a number",
            422,
            "invalid_body",
            with("confirm", json!(1)),
        ),
        ("amount 2^63-1 with its fee", 422, "amount_out_of_range", {
            let mut body = changed("/amount/amount", json!(i64::MAX));
            body["cover_fee"] = json!(true);
            body["tip"] = json!({"amount": 1, "currency": "USD"});
            body
        }),
        (
            "unknown field inside",
            422,
            "invalid_body",
            changed(
                "/donor",
                json!({"name": "Ada", "email": "ada@example.org", "role": "admin"}),
            ),
        ),
        ("no amount", 422, "invalid_body", without("amount")),
        (
            "guest without a name",
            422,
            "donor_required",
            without("donor"),
        ),
        (
            "guest without an address",
            422,
            "donor_required",
            changed("/donor", json!({"name": "Ada"})),
        ),
        ("not an object", 422, "invalid_body", json!([])),
    ];
    for (what, status, code, body) in table {
        let reply = service.pledge(&key(), &body).await;
        assert_eq!(reply.status().as_u16(), status, "{what}");
        assert_eq!(problem_code(reply).await, code, "{what}");
    }
    assert_stored_nothing(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_request_has_its_code_and_stores_nothing() {
    let service = Service::start().await;
    let client = &service.running.client;
    let url = service.running.at("/api/pledges");
    let post = || client.post(&url).header("content-type", "application/json");
    let good = service.body().to_string();
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let expired = testkit::issuer()
        .access(
            UserId::new(),
            Role::Donor,
            Clock::system().now() - Duration::hours(1),
        )
        .expect("it can be signed");
    let forged = testkit::other_issuer()
        .access(UserId::new(), Role::Donor, Clock::system().now())
        .expect("it can be signed");
    // {"alg":"none","typ":"JWT"}.{}. without a signature.
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30.";
    let table = [
        (
            "no key",
            400,
            "idempotency_key_missing",
            post().body(good.clone()),
        ),
        (
            "short key",
            400,
            "idempotency_key_invalid",
            post()
                .header("idempotency-key", "1234567")
                .body(good.clone()),
        ),
        (
            "long key",
            400,
            "idempotency_key_invalid",
            post()
                .header("idempotency-key", "k".repeat(300))
                .body(good.clone()),
        ),
        (
            "a guest's key that is no UUID",
            400,
            "idempotency_key_invalid",
            post()
                .header("idempotency-key", "my-own-key")
                .body(good.clone()),
        ),
        (
            "not JSON",
            400,
            "malformed_json",
            post().header("idempotency-key", key()).body("{"),
        ),
        (
            "depth 200",
            400,
            "malformed_json",
            post().header("idempotency-key", key()).body(deep),
        ),
        (
            "65 KiB",
            413,
            "body_too_large",
            post()
                .header("idempotency-key", key())
                .body(" ".repeat(65 * 1024)),
        ),
        (
            "another content type",
            415,
            "unsupported_media_type",
            client
                .post(&url)
                .header("idempotency-key", key())
                .header("content-type", "text/plain")
                .body(good.clone()),
        ),
        (
            "another method",
            405,
            "method_not_allowed",
            client
                .put(&url)
                .header("idempotency-key", key())
                .body(good.clone()),
        ),
        (
            "expired token",
            401,
            "invalid_token",
            post()
                .header("idempotency-key", key())
                .bearer_auth(expired)
                .body(good.clone()),
        ),
        (
            "token by another key",
            401,
            "invalid_token",
            post()
                .header("idempotency-key", key())
                .bearer_auth(forged)
                .body(good.clone()),
        ),
        (
            "token without a signature",
            401,
            "invalid_token",
            post()
                .header("idempotency-key", key())
                .bearer_auth(none)
                .body(good.clone()),
        ),
    ];
    for (what, status, code, request) in table {
        let reply = request.send().await.expect("the service answers");
        assert_eq!(reply.status().as_u16(), status, "{what}");
        assert_eq!(problem_code(reply).await, code, "{what}");
    }
    assert_stored_nothing(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_about_a_pledge_have_their_codes_and_change_nothing() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    let other = service.made(&service.body()).await;
    let rows = async || {
        let counted: i64 = sqlx::query_scalar(
            "select (select count(*) from idempotency) + (select count(*) from pledges where cancel_requested_at is not null)",
        )
        .fetch_one(&service.database.pool())
        .await
        .expect("rows can be counted");
        counted
    };
    let before = rows().await;
    let client = &service.running.client;
    let at = |id: &str, page: &str| service.running.at(&format!("/api/pledges/{id}{page}"));
    let own = made.id.to_string();
    let nowhere = [
        "x",
        "1",
        "%00",
        "..%2Fme",
        &uuid::Uuid::new_v4().to_string(),
    ];
    let no_text = HeaderValue::from_bytes(b"k\xc3\xa9y").expect("bytes");
    for page in ["", "/timeline", "/receipt"] {
        for id in nowhere {
            let request = client
                .get(at(id, page))
                .header("x-guest-token", &made.token);
            refused(&format!("GET {id}{page}"), request, 404, "not_found").await;
        }
        let own = || client.get(at(&own, page));
        refused("no token", own(), 404, "not_found").await;
        for token in [other.token.as_str(), "", "x", &"x".repeat(5000)] {
            let request = own().header("x-guest-token", token);
            refused(&format!("{page} with {token}"), request, 404, "not_found").await;
        }
        let request = own().header("x-guest-token", no_text.clone());
        refused("a token that is no text", request, 404, "not_found").await;
    }

    let cancel = |id: &str| {
        client
            .post(at(id, "/cancel"))
            .header("x-guest-token", &made.token)
    };
    for id in nowhere {
        let request = cancel(id).header("idempotency-key", key());
        refused(&format!("cancel {id}"), request, 404, "not_found").await;
    }
    refused("no key", cancel(&own), 400, "idempotency_key_missing").await;
    let long = "k".repeat(256);
    let keys = [
        HeaderValue::from_static("1234567"),
        HeaderValue::from_static("my-own-key"),
        HeaderValue::from_str(&long).expect("a header"),
        no_text,
    ];
    for key in keys {
        let what = format!("key {key:?}");
        let request = cancel(&own).header("idempotency-key", key);
        refused(&what, request, 400, "idempotency_key_invalid").await;
    }
    for body in ["{".to_owned(), "[".repeat(200)] {
        let request = cancel(&own).header("idempotency-key", key()).body(body);
        refused("no JSON", request, 400, "malformed_json").await;
    }
    let stranger = client
        .post(at(&own, "/cancel"))
        .header("idempotency-key", key());
    let stranger = stranger.header("x-guest-token", &other.token);
    refused("another's token", stranger, 404, "not_found").await;
    assert_eq!(rows().await, before);
}

async fn refused(what: &str, request: RequestBuilder, status: u16, code: &str) {
    let reply = request.send().await.expect("the service answers");
    assert_eq!(reply.status().as_u16(), status, "{what}");
    assert_eq!(problem_code(reply).await, code, "{what}");
}

async fn assert_stored_nothing(service: &Service) {
    let rows: i64 = sqlx::query_scalar("select (select count(*) from pledges) + (select count(*) from outbox) + (select count(*) from idempotency)")
        .fetch_one(&service.database.pool())
        .await
        .expect("rows can be counted");
    assert_eq!(rows, 0);
}
