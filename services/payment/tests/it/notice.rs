//! How deliveries are read.

use payment::domain::{About, Decline, Malformed, News, Notice, What};
use serde_json::{Value, json};

const PAYMENT: &str = "5a1b7c9e-0f7e-5d2b-9a52-3a4a3a1b2c3d";

fn event(kind: &str, object: &Value) -> Value {
    json!({"id": "evt_1", "type": kind, "livemode": false, "data": {"object": object}})
}

fn intent(status: &str) -> Value {
    json!({"id": "pi_1", "amount": 2500, "currency": "usd", "status": status, "metadata": {"payment_id": PAYMENT}})
}

fn with(mut object: Value, told: &Value) -> Value {
    object
        .as_object_mut()
        .unwrap()
        .extend(told.as_object().unwrap().clone());
    object
}

fn read(event: &Value) -> About {
    Notice::read(event.to_string().as_bytes(), false)
        .unwrap()
        .about
}

fn what(kind: &str, object: &Value) -> What {
    match read(&event(kind, object)) {
        About::Intent(news) => news.what,
        other => panic!("{kind}: {other:?}"),
    }
}

#[test]
fn each_type_that_moves_a_payment_is_understood() {
    let captured = with(intent("succeeded"), &json!({"amount_received": 2000}));
    assert_eq!(
        what("payment_intent.succeeded", &captured),
        What::Captured { taken: 2000 }
    );
    let held = with(
        intent("requires_capture"),
        &json!({"amount_capturable": 2500}),
    );
    assert_eq!(
        what("payment_intent.amount_capturable_updated", &held),
        What::Authorized { held: 2500 }
    );
    let error = json!({"code": "card_declined", "decline_code": "lost_card", "message": "a\u{0}b"});
    let declined = with(
        intent("requires_payment_method"),
        &json!({"last_payment_error": error}),
    );
    let decline = Decline {
        code: "card_declined".to_owned(),
        decline_code: Some("lost_card".to_owned()),
        message: Some("ab".to_owned()),
        ..Decline::default()
    };
    assert_eq!(
        what("payment_intent.payment_failed", &declined),
        What::Declined(decline)
    );
    let cancelled = with(
        intent("canceled"),
        &json!({"cancellation_reason": "abandoned"}),
    );
    let reason = Some("abandoned".to_owned());
    assert_eq!(
        what("payment_intent.canceled", &cancelled),
        What::Cancelled(reason)
    );
    for kind in [
        "payment_intent.created",
        "payment_intent.processing",
        "payment_intent.requires_action",
    ] {
        assert_eq!(what(kind, &intent("processing")), What::Noted, "{kind}");
    }
}

#[test]
fn an_intent_is_known_by_its_id_and_by_our_payment() {
    let About::Intent(news) = read(&event("payment_intent.created", &intent("processing"))) else {
        panic!("an intent")
    };
    let expected = News {
        intent: "pi_1".to_owned(),
        payment_id: Some(PAYMENT.parse().unwrap()),
        amount: 2500,
        currency: "usd".to_owned(),
        what: What::Noted,
    };
    assert_eq!(*news, expected);
    let foreign = with(
        intent("processing"),
        &json!({"metadata": {"payment_id": "not one of ours"}}),
    );
    let About::Intent(news) = read(&event("payment_intent.created", &foreign)) else {
        panic!("an intent")
    };
    assert_eq!(news.payment_id, None);
}

#[test]
fn what_does_not_concern_us_moves_nothing() {
    let intent = intent("succeeded");
    let succeeded = event("payment_intent.succeeded", &intent);
    let table = [
        with(succeeded.clone(), &json!({"livemode": true})),
        with(succeeded, &json!({"account": "acct_1"})),
        event("payment_intent.partially_funded", &intent),
        event("charge.succeeded", &json!({"id": "ch_1"})),
        event("some.type_of_tomorrow", &json!(null)),
        json!({"id": "evt_1", "type": "ping"}),
    ];
    for event in table {
        assert!(matches!(read(&event), About::Nothing(_)), "{event}");
    }
}

#[test]
fn what_is_not_understood_is_set_apart() {
    let kind = "payment_intent.succeeded";
    let table = [
        json!({"id": "evt_1", "type": kind}),
        event(kind, &json!(null)),
        event(kind, &json!({"id": "pi_1"})),
        event(kind, &intent("status_of_tomorrow")),
        event(kind, &intent("requires_capture")),
        event("payment_intent.canceled", &intent("succeeded")),
        event(kind, &with(intent("succeeded"), &json!({"amount": 25.5}))),
        event(kind, &with(intent("succeeded"), &json!({"amount": "2500"}))),
        event(
            kind,
            &with(intent("succeeded"), &json!({"id": "pi_1/../charges"})),
        ),
        event(kind, &with(intent("succeeded"), &json!({"id": "a b"}))),
    ];
    for event in table {
        assert!(matches!(read(&event), About::Unreadable(_)), "{event}");
    }
}

#[test]
fn fields_of_tomorrow_are_no_obstacle() {
    let newer = with(
        intent("succeeded"),
        &json!({"amount_received": 2500, "hooks": {"deep": [1]}}),
    );
    let event = with(
        event("payment_intent.succeeded", &newer),
        &json!({"context": "x", "api_version": "2999-01-01"}),
    );
    assert!(matches!(read(&event), About::Intent(_)));
}

#[test]
fn what_has_no_id_or_type_is_no_event() {
    let long = "e".repeat(256);
    let table = [
        "[]".to_owned(),
        "{}".to_owned(),
        "{".to_owned(),
        String::new(),
        json!({"id": 1, "type": "ping"}).to_string(),
        json!({"id": "", "type": "ping"}).to_string(),
        json!({"id": "evt 1", "type": "ping"}).to_string(),
        json!({"id": "evt\u{0}1", "type": "ping"}).to_string(),
        json!({"id": long, "type": "ping"}).to_string(),
        json!({"id": "evt_1", "type": ""}).to_string(),
    ];
    for body in table {
        assert_eq!(
            Notice::read(body.as_bytes(), false),
            Err(Malformed),
            "{body}"
        );
    }
}
