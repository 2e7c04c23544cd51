//! How the provider's replies are understood.

use std::time::Duration;

use axum::{Router, http::Uri, routing::get};
use chassis::{clock::Clock, http::serve, lifecycle::Lifecycle};
use http::StatusCode;
use payment::{
    Psp,
    provider::{Failure, Intent, Stripe, read},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;

fn intent() -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "amount": 2500, "currency": "usd", "livemode": false,
        "client_secret": "pi_1_secret_2", "status": "requires_payment_method", "field_of_tomorrow": [1],
    })
}

fn understand(status: u16, body: &Value) -> Result<String, Failure> {
    let status = StatusCode::from_u16(status).unwrap();
    read::<Intent>(status, body.to_string().as_bytes()).map(|intent| intent.id)
}

fn error(status: u16, error: &Value) -> Failure {
    understand(status, &json!({"error": error})).unwrap_err()
}

#[test]
fn an_intent_is_read_and_its_secret_is_not_shown() {
    let read = read::<Intent>(StatusCode::OK, intent().to_string().as_bytes()).unwrap();
    assert_eq!(
        (read.id.as_str(), read.amount, read.currency.as_str()),
        ("pi_1", 2500, "usd")
    );
    assert_eq!(read.client_secret.expose_secret(), "pi_1_secret_2");
    assert!(!format!("{read:?}").contains("pi_1_secret_2"));
}

#[test]
fn a_reply_that_is_no_intent_leaves_the_outcome_unknown() {
    let mut traversing = intent();
    traversing["id"] = json!("pi_1/../../v1/charges");
    for body in [json!({}), json!([]), json!("pi_1"), traversing] {
        assert!(
            matches!(understand(200, &body), Err(Failure::Unknown(_))),
            "{body}"
        );
    }
    assert!(matches!(
        read::<Intent>(StatusCode::OK, b"<html>"),
        Err(Failure::Unknown(_))
    ));
    for status in [300, 500, 502, 503] {
        assert!(
            matches!(understand(status, &json!({})), Err(Failure::Unknown(_))),
            "{status}"
        );
    }
}

#[test]
fn a_twin_that_is_running_is_waited_for_and_a_busy_provider_is_left_alone() {
    let twin = json!({"type": "idempotency_error", "code": "idempotency_key_in_use"});
    assert!(matches!(error(409, &twin), Failure::Running(_)));
    let busy = json!({"type": "invalid_request_error", "code": "rate_limit"});
    assert!(matches!(error(429, &busy), Failure::Unavailable(_)));
}

#[test]
fn what_is_about_this_payment_is_a_refusal_for_good() {
    let small = json!({"type": "invalid_request_error", "code": "amount_too_small", "param": "amount", "message": "m"});
    match error(400, &small) {
        Failure::Refused {
            declined: false,
            code,
            message,
        } => {
            assert_eq!(
                (code.as_str(), message.as_deref()),
                ("amount_too_small", Some("m"))
            );
        }
        other => panic!("{other:?}"),
    }
    let card =
        json!({"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor"});
    match error(402, &card) {
        Failure::Refused {
            declined: true,
            code,
            ..
        } => assert_eq!(code, "do_not_honor"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_would_hit_every_payment_alike_ends_none() {
    let table = [
        (400, json!({"type": "idempotency_error"})),
        (
            400,
            json!({"type": "invalid_request_error", "code": "parameter_unknown", "param": "capture_method"}),
        ),
        (400, json!({})),
        (401, json!({"type": "invalid_request_error"})),
        (403, json!({"type": "invalid_request_error"})),
    ];
    for (status, body) in table {
        assert!(
            matches!(error(status, &body), Failure::Misconfigured(_)),
            "{status} {body}"
        );
    }
}

#[test]
fn an_object_that_is_not_there_is_no_mistake_of_ours() {
    let missing =
        json!({"type": "invalid_request_error", "code": "resource_missing", "param": "intent"});
    assert!(matches!(error(404, &missing), Failure::Missing));
}

/// A provider that answers with these bodies.
async fn provider(router: Router) -> (Stripe, Lifecycle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Psp {
        url: format!("http://{}", listener.local_addr().unwrap()),
        secret_key: "sk_test".into(),
        webhook_secrets: Vec::new(),
        checkout_url: String::new(),
        timeout: Duration::from_secs(20),
        breaker_rest: Duration::from_secs(1),
    };
    let life = Lifecycle::new();
    life.spawn("provider", {
        let life = life.clone();
        async move { serve(listener, router, &life).await }
    });
    let stripe = Stripe::new(&config, 100, &Clock::system()).unwrap();
    (stripe, life)
}

#[tokio::test]
async fn a_whole_page_of_large_events_is_read() {
    // As large as a charge with much metadata makes them.
    let event = json!({"id": "evt_1", "data": "x".repeat(20_000)});
    let page = json!({"data": vec![event; 100], "has_more": false});
    let router = Router::new().route("/v1/events", get(async move || page.to_string()));
    let (stripe, life) = provider(router).await;
    let id = |event: &Value| event["id"].to_string();
    let events = stripe.pages("/v1/events", &[], id).await.unwrap();
    assert_eq!(events.len(), 100);
    life.stop();
}

#[tokio::test]
async fn a_refund_or_dispute_that_we_do_not_understand_hides_no_other() {
    let refunds = r#"{"object": "list", "has_more": false, "data": [
        {"id": "re_4", "object": "refund", "amount": 400, "status": "under_consideration", "metadata": {}},
        {"id": "re_3", "object": "refund", "amount": 300, "status": null, "metadata": null},
        {"id": "re_2", "object": "refund", "amount": "two hundred", "status": "succeeded", "metadata": {}},
        {"id": "re_1", "object": "refund", "amount": 100, "status": "succeeded", "metadata": {}},
        {"id": "re_0", "object": "refund", "amount": 100, "status": "succeeded", "reason": "partial_capture"}]}"#;
    let disputes = r#"{"object": "list", "has_more": false, "data": [
        {"id": "dp_2", "object": "dispute", "amount": 50, "currency": "usd", "reason": "general", "created": 1,
         "status": "in_arbitration", "evidence_details": null, "balance_transactions": []},
        {"id": "dp_1", "object": "dispute", "amount": 50, "currency": "usd", "reason": "general", "created": 1,
         "status": "needs_response", "evidence_details": null, "balance_transactions":
         [{"id": "txn_1", "amount": -50, "currency": "usd", "fee": 1500}]}]}"#;
    let nameless = r#"{"data": [{"object": "refund", "amount": 1, "status": "succeeded"}]}"#;
    let refunds = async move |uri: Uri| {
        let of_the_first = uri
            .query()
            .is_some_and(|it| it.contains("payment_intent=pi_1&"));
        if of_the_first { refunds } else { nameless }
    };
    let router = Router::new()
        .route("/v1/refunds", get(refunds))
        .route("/v1/disputes", get(async move || disputes));
    let (stripe, life) = provider(router).await;
    let (read, unread) = stripe.refunds("pi_1").await.unwrap();
    let ids: Vec<&str> = read.iter().map(|refund| refund.id.as_str()).collect();
    assert_eq!(ids, ["re_1"]);
    let ids: Vec<&str> = unread.iter().map(|refund| refund.id.as_str()).collect();
    assert_eq!(ids, ["re_2", "re_3", "re_4"]);
    let (read, unread) = stripe.disputes("pi_1").await.unwrap();
    assert_eq!((read[0].id.as_str(), read.len()), ("dp_1", 1));
    assert_eq!(read[0].movements[0].currency, "usd");
    assert_eq!((unread[0].id.as_str(), unread.len()), ("dp_2", 1));
    // What has no id can be told to nobody.
    assert!(matches!(
        stripe.refunds("pi_2").await,
        Err(Failure::Unknown(_))
    ));
    life.stop();
}
