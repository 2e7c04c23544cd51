//! Every refusal by its stable code, and nothing stored by any.

use campaign::Code;
use common::{auth::Role, ids::UserId};
use reqwest::{Method, header::AUTHORIZATION};
use serde_json::{Value, json};
use testkit::problem_code;

use crate::helpers::{App, key, path, proposal, proposal_with, token};

#[tokio::test]
async fn bad_proposals_are_refused_field_by_field() {
    let app = App::start().await;
    let organiser = app.person();
    let goal = |amount: Value, currency: &str| json!({"amount": amount, "currency": currency});
    let cases = [
        ("title", json!("ab"), "invalid_title", "title"),
        ("title", json!("  ab  "), "invalid_title", "title"),
        ("title", json!("x".repeat(121)), "invalid_title", "title"),
        ("title", json!("Clean\r\nBcc: x"), "invalid_title", "title"),
        ("title", json!("Clean\u{0}water"), "invalid_title", "title"),
        ("story", json!("x".repeat(20_001)), "invalid_story", "story"),
        ("story", json!("nul\u{0}"), "invalid_story", "story"),
        ("category", json!("x"), "invalid_category", "category"),
        (
            "category",
            json!("x".repeat(41)),
            "invalid_category",
            "category",
        ),
        (
            "goal",
            goal(json!(0), "USD"),
            "goal_not_positive",
            "goal.amount",
        ),
        (
            "goal",
            goal(json!(-1), "USD"),
            "goal_not_positive",
            "goal.amount",
        ),
        (
            "goal",
            goal(json!(1.5), "USD"),
            "invalid_amount",
            "goal.amount",
        ),
        (
            "goal",
            goal(json!("25"), "USD"),
            "invalid_amount",
            "goal.amount",
        ),
        (
            "goal",
            goal(json!(1_u64 << 63), "USD"),
            "invalid_amount",
            "goal.amount",
        ),
        (
            "goal",
            goal(json!(25), "usd"),
            "unknown_currency",
            "goal.currency",
        ),
        (
            "goal",
            goal(json!(25), "XXX"),
            "unknown_currency",
            "goal.currency",
        ),
        // A gift of them would charge another amount at the provider.
        (
            "goal",
            goal(json!(25), "MGA"),
            "unknown_currency",
            "goal.currency",
        ),
        (
            "goal",
            goal(json!(25), "KWD"),
            "unknown_currency",
            "goal.currency",
        ),
        (
            "ends_at",
            json!("2026-03-01T12:00:00Z"),
            "ends_at_past",
            "ends_at",
        ),
        (
            "ends_at",
            json!("2020-01-01T00:00:00Z"),
            "ends_at_past",
            "ends_at",
        ),
        (
            "timezone",
            json!("Mars/Olympus"),
            "unknown_timezone",
            "timezone",
        ),
        ("timezone", json!(""), "unknown_timezone", "timezone"),
        ("min_amount", json!(0), "invalid_min_amount", "min_amount"),
        ("min_amount", json!(-5), "invalid_min_amount", "min_amount"),
    ];
    for (member, value, code, field) in cases {
        let body = proposal_with(member, value);
        let reply = app
            .post("/api/campaigns", &organiser.token, Some(&body))
            .await;
        assert_eq!(reply.status(), 422, "{body}");
        let problem: Value = reply.json().await.unwrap();
        assert_eq!(problem["code"], code, "{body}");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    assert_eq!(
        (app.count("campaigns").await, app.count("idempotency").await),
        (0, 0)
    );
}

#[tokio::test]
async fn bodies_of_another_shape_are_refused() {
    let app = App::start().await;
    let organiser = app.person();
    for (member, value) in [
        ("title", Value::Null),
        ("goal", Value::Null),
        ("goal", json!({"amount": 25})),
        ("goal", json!({"amount": 25, "currency": "USD", "cents": 1})),
        ("goal", json!(25)),
        ("title", json!(5)),
        ("ends_at", json!("tomorrow")),
        ("min_amount", json!(1.5)),
        ("capture", json!("later")),
        ("surprise", json!(1)),
    ] {
        let body = proposal_with(member, value);
        let reply = app
            .post("/api/campaigns", &organiser.token, Some(&body))
            .await;
        assert_eq!(reply.status(), 422, "{body}");
        assert_eq!(problem_code(reply).await, "invalid_body", "{body}");
    }
    assert_eq!(app.count("campaigns").await, 0);
}

#[tokio::test]
async fn all_faults_of_a_proposal_are_told_at_once() {
    let app = App::start().await;
    let body = json!({
        "title": "", "story": "", "category": "", "goal": {"amount": 0, "currency": "USD"},
        "timezone": "?", "min_amount": 0, "ends_at": "2020-01-01T00:00:00Z",
    });

    let reply = app
        .post("/api/campaigns", &app.person().token, Some(&body))
        .await;

    let problem: Value = reply.json().await.unwrap();
    assert_eq!(problem["code"], "invalid_title");
    let fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "title",
            "category",
            "goal.amount",
            "ends_at",
            "timezone",
            "min_amount"
        ]
    );
}

#[tokio::test]
async fn a_reason_is_required_to_reject() {
    let app = App::start().await;
    let organiser = app.person();
    let id = app.draft(&organiser).await;
    app.moved(&id, "submit", &organiser.token).await;
    for reason in ["", "  no  ", "a\u{7}larm", &"x".repeat(1001)] {
        let body = json!({"reason": reason});
        let reply = app
            .post(&path(&id, "reject"), &app.admin, Some(&body))
            .await;
        assert_eq!(reply.status(), 422, "{body}");
        assert_eq!(problem_code(reply).await, "invalid_reason");
    }
    let without = app
        .post(&path(&id, "reject"), &app.admin, Some(&json!({})))
        .await;
    assert_eq!(problem_code(without).await, "invalid_body");
}

#[tokio::test]
async fn whoever_is_not_known_is_refused() {
    let app = App::start().await;
    let stranger = testkit::other_issuer()
        .access(UserId::new(), Role::Admin, app.clock.now())
        .unwrap();
    let old = token(UserId::new(), Role::Donor, &app.clock);
    app.clock.advance(chrono::Duration::minutes(16));
    let cases = [
        (None, "unauthenticated"),
        (Some("Basic YTpi".to_owned()), "invalid_token"),
        (Some("Bearer nonsense".to_owned()), "invalid_token"),
        (Some(format!("Bearer {stranger}")), "invalid_token"),
        (Some(format!("Bearer {old}")), "invalid_token"),
    ];
    for (credentials, code) in cases {
        let mut call = app
            .service
            .client
            .request(Method::POST, app.service.at("/api/campaigns"))
            .header("idempotency-key", key())
            .json(&proposal());
        if let Some(credentials) = &credentials {
            call = call.header(AUTHORIZATION, credentials);
        }
        let reply = call.send().await.unwrap();
        assert_eq!(reply.status(), 401, "{credentials:?}");
        assert!(reply.headers().contains_key("www-authenticate"));
        assert_eq!(problem_code(reply).await, code, "{credentials:?}");
    }
    assert_eq!(app.count("campaigns").await, 0);
}

/// A new code without a test that asserts it is found here.
#[test]
fn every_code_is_met_by_a_test() {
    let source = [
        include_str!("create.rs"),
        include_str!("errors.rs"),
        include_str!("moves.rs"),
    ]
    .concat();
    for code in Code::ALL {
        assert!(
            source.contains(&format!("\"{}\"", code.as_str())),
            "{code:?} is met by no test"
        );
    }
}
