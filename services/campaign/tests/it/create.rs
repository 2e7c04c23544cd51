//! `POST /api/campaigns`

use serde_json::{Value, json};
use testkit::problem_code;

use crate::helpers::{App, NOON, key, proposal, proposal_with, text};

#[tokio::test]
async fn a_draft_has_what_was_proposed_and_the_defaults() {
    let app = App::start().await;
    let organiser = app.person();

    let reply = app
        .post("/api/campaigns", &organiser.token, Some(&proposal()))
        .await;

    assert_eq!(reply.status(), 201);
    assert_eq!(reply.headers()["etag"], "\"1\"");
    let location = reply.headers()["location"].to_str().unwrap().to_owned();
    let made: Value = reply.json().await.unwrap();
    let expected = json!({
        "id": made["id"],
        "title": "Clean water",
        "category": "water",
        "goal": {"amount": 500_000, "currency": "USD"},
        "currency": "USD",
        "status": "DRAFT",
        "ends_at": null,
        "timezone": "UTC",
        "min_amount": 100,
        "capture": "automatic",
        "organiser_id": organiser.id,
        "version": 1,
        "created_at": NOON,
        "updated_at": NOON,
        "story": "Two hundred families drink from the river.\nHelp.",
    });
    assert_eq!(made, expected);
    let found = app.get(&location, Some(&organiser.token)).await;
    assert_eq!(found.status(), 200);
    assert_eq!(found.json::<Value>().await.unwrap(), expected);
}

#[tokio::test]
async fn a_draft_keeps_every_choice() {
    let app = App::start().await;
    let body = json!({
        "title": "  Boats  ",
        "story": "",
        "category": "sea",
        "goal": {"amount": 9_223_372_036_854_775_807_i64, "currency": "JPY"},
        "ends_at": "2026-12-31T23:59:59.123456789+06:00",
        "timezone": "Asia/Dhaka",
        "min_amount": 1,
        "capture": "manual",
    });

    let reply = app
        .post("/api/campaigns", &app.person().token, Some(&body))
        .await;

    assert_eq!(reply.status(), 201);
    let made: Value = reply.json().await.unwrap();
    assert_eq!(made["title"], "Boats");
    assert_eq!(made["goal"], body["goal"]);
    assert_eq!(made["currency"], "JPY");
    // In UTC, and with the microseconds that the database keeps: the reply must not promise more.
    assert_eq!(made["ends_at"], "2026-12-31T17:59:59.123456Z");
    assert_eq!(made["timezone"], "Asia/Dhaka");
    assert_eq!(
        (&made["min_amount"], &made["capture"]),
        (&json!(1), &json!("manual"))
    );
}

#[tokio::test]
async fn a_retry_gets_the_first_reply_byte_for_byte() {
    let app = App::start().await;
    let (organiser, key) = (app.person(), key());

    let first = app
        .post_as("/api/campaigns", &organiser.token, &key, Some(&proposal()))
        .await;
    app.clock.advance(chrono::Duration::minutes(5));
    let second = app
        .post_as("/api/campaigns", &organiser.token, &key, Some(&proposal()))
        .await;

    assert_eq!(
        (first.status(), second.status()),
        (201.try_into().unwrap(), 201.try_into().unwrap())
    );
    assert!(!first.headers().contains_key("idempotent-replayed"));
    assert_eq!(second.headers()["idempotent-replayed"], "true");
    assert_eq!(first.headers()["location"], second.headers()["location"]);
    assert_eq!(first.bytes().await.unwrap(), second.bytes().await.unwrap());
    assert_eq!(app.count("campaigns").await, 1);
}

#[tokio::test]
async fn a_retry_that_would_be_refused_by_now_still_gets_its_draft() {
    let app = App::start().await;
    let (organiser, key) = (app.person(), key());
    let body = proposal_with("ends_at", json!("2026-03-01T12:01:00Z"));
    let first = app
        .post_as("/api/campaigns", &organiser.token, &key, Some(&body))
        .await;
    assert_eq!(first.status(), 201);

    app.clock.advance(chrono::Duration::minutes(2));
    let again = app
        .post_as("/api/campaigns", &organiser.token, &key, Some(&body))
        .await;
    let fresh = app
        .post("/api/campaigns", &organiser.token, Some(&body))
        .await;

    assert_eq!(again.status(), 201);
    assert_eq!(first.bytes().await.unwrap(), again.bytes().await.unwrap());
    assert_eq!(problem_code(fresh).await, "ends_at_past");
}

#[tokio::test]
async fn a_key_belongs_to_one_body_and_one_person() {
    let app = App::start().await;
    let (organiser, other, key) = (app.person(), app.person(), key());
    let call =
        async |who: &str, body: &Value| app.post_as("/api/campaigns", who, &key, Some(body)).await;
    assert_eq!(call(&organiser.token, &proposal()).await.status(), 201);

    let changed = call(
        &organiser.token,
        &proposal_with("title", json!("Clean air")),
    )
    .await;
    let independent = call(&other.token, &proposal()).await;

    assert_eq!(changed.status(), 422);
    assert_eq!(problem_code(changed).await, "idempotency_key_reused");
    assert_eq!(independent.status(), 201);
    let independent: Value = independent.json().await.unwrap();
    assert_eq!(text(&independent["organiser_id"]), other.id.to_string());
}

#[tokio::test]
async fn many_at_once_with_one_key_make_one_draft() {
    let app = App::start().await;
    let (organiser, key) = (app.person(), key());
    let (app, organiser, key) = (&app, &organiser, &key);
    let calls = (0..20).map(async |_| {
        let body = proposal();
        let reply = app
            .post_as("/api/campaigns", &organiser.token, key, Some(&body))
            .await;
        (reply.status().as_u16(), reply.bytes().await.unwrap())
    });

    let replies = futures::future::join_all(calls).await;

    let made: Vec<_> = replies
        .iter()
        .filter(|(status, _)| *status == 201)
        .collect();
    assert!(!made.is_empty());
    assert!(made.iter().all(|(_, body)| *body == made[0].1));
    // Whoever had to wait too long for a twin is told to come again, and nothing else.
    assert!(
        replies
            .iter()
            .all(|(status, _)| [201, 409].contains(status)),
        "{replies:?}"
    );
    assert_eq!(
        (app.count("campaigns").await, app.count("idempotency").await),
        (1, 1)
    );
}
