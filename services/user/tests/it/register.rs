use std::collections::BTreeMap;

use common::{
    auth::tokens::donor_ref,
    events::{ContactState, Role, UserEvent, UserKind, UserStatus, topics},
};
use serde_json::{Value, json};
use testkit::problem_code;

use crate::helpers::{DONOR_REF_SECRET, PASSWORD, Reader, TestApp, problem};

#[tokio::test]
async fn a_new_account_can_log_in() {
    let app = TestApp::start().await;
    let session = app.session("ada@example.org").await;
    assert_eq!(session["user"]["email"], "ada@example.org");
    assert_eq!(session["user"]["name"], "Ada");
    assert_eq!(session["user"]["role"], "DONOR");
}

#[tokio::test]
async fn the_older_path_is_the_same_operation() {
    let app = TestApp::start().await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD, "name": "Ada"});
    assert_eq!(app.post("/api/users/register", &body).await.status(), 202);
    let login = json!({"email": "ada@example.org", "password": PASSWORD});
    assert_eq!(app.post("/api/users/login", &login).await.status(), 200);
}

#[tokio::test]
async fn a_known_address_gets_the_reply_of_an_unknown_one_and_stays_as_it_is() {
    let app = TestApp::start().await;
    let first = app.register("ada@example.org").await;
    let again = json!({"email": " ADA@Example.org ", "password": "another password of hers", "name": "Eve"});
    let second = app.post("/api/auth/register", &again).await;
    assert_eq!(
        (first.status(), second.status()),
        (reqwest::StatusCode::ACCEPTED, reqwest::StatusCode::ACCEPTED)
    );
    let headers = |reply: &reqwest::Response| {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in reply.headers() {
            headers.insert(
                name.to_string(),
                value.to_str().expect("headers are text").to_owned(),
            );
        }
        headers.remove("date");
        headers
    };
    assert_eq!(headers(&first), headers(&second));
    assert_eq!(first.bytes().await.unwrap(), second.bytes().await.unwrap());
    assert_eq!(app.accounts().await, 1);
    let session: Value = app.login("ada@example.org").await.json().await.unwrap();
    assert_eq!(
        session["user"]["name"], "Ada",
        "the second registration changed nothing"
    );
}

#[tokio::test]
async fn a_hundred_registrations_of_one_address_at_once_open_one_account() {
    let app = TestApp::start().await;
    let replies =
        futures::future::join_all((0..100).map(|_| app.register("ada@example.org"))).await;
    let mut accepted = 0;
    for reply in replies {
        if reply.status() == 202 {
            accepted += 1;
            continue;
        }
        assert_eq!(reply.headers()["retry-after"], "1");
        assert_eq!(problem_code(reply).await, "busy");
    }
    // Two are hashed and 32 wait; only those beyond may be refused.
    assert!(accepted >= 34, "{accepted} were accepted");
    assert_eq!(app.accounts().await, 1);
    let mut reader = Reader::of(&app.kafka, &[topics::USER]);
    let told: UserEvent = reader.next().await.json().unwrap();
    let stored: uuid::Uuid = sqlx::query_scalar("select user_id from accounts")
        .fetch_one(&app.database.pool())
        .await
        .unwrap();
    assert_eq!(told.user_id.get(), stored);
}

#[tokio::test]
async fn registration_tells_who_it_was_and_only_the_contact_topic_learns_the_address() {
    let app = TestApp::start().await;
    app.register("Ada@example.org").await;
    let mut reader = Reader::of(&app.kafka, &[topics::USER, topics::CONTACT]);
    let mut told = BTreeMap::new();
    for _ in 0..2 {
        let message = reader.next().await;
        told.insert(message.topic.clone(), message);
    }
    let user = &told[topics::USER.name];
    let event: UserEvent = user.json().unwrap();
    assert_eq!(user.key, event.user_id.to_string());
    assert_eq!(user.header("ce_type"), Some("user.registered"));
    assert_eq!(
        (event.kind, event.role, event.status, event.version),
        (UserKind::Registered, Role::Donor, UserStatus::Active, 1)
    );
    assert_eq!(
        event.donor_ref,
        donor_ref(&DONOR_REF_SECRET.into(), "ada@EXAMPLE.org")
    );
    assert!(
        !String::from_utf8_lossy(&user.payload).contains("example.org"),
        "no address outside the contact topic"
    );
    let contact = &told[topics::CONTACT.name];
    let state: ContactState = contact.json().unwrap();
    assert_eq!(contact.key, event.contact_id.to_string());
    assert_eq!((state.contact_id, state.version), (event.contact_id, 1));
    assert_eq!(
        (state.name.as_str(), state.email.as_str()),
        ("Ada", "Ada@example.org")
    );
}

#[tokio::test]
async fn bad_input_is_refused_by_its_own_code_and_stores_nothing() {
    let app = TestApp::start().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({"email": "ada@example.org", "password": PASSWORD, "name": "Ada"});
        body[field] = value;
        body
    };
    let cases = [
        (with("password", json!("7 chars")), 422, "weak_password"),
        (
            with("password", json!("x".repeat(129))),
            422,
            "weak_password",
        ),
        (
            with("password", json!("aaaaaaaaaaaaaaaa")),
            422,
            "weak_password",
        ),
        (with("password", json!("Password123")), 422, "weak_password"),
        (
            with("password", json!("ADA@example.org")),
            422,
            "weak_password",
        ),
        (with("password", json!(12_345_678)), 422, "invalid_body"),
        (with("email", json!("ada")), 422, "invalid_body"),
        (with("email", json!("ada@")), 422, "invalid_body"),
        (
            with("email", json!("ada@exa mple.org")),
            422,
            "invalid_body",
        ),
        (
            with("email", json!("ada..l@example.org")),
            422,
            "invalid_body",
        ),
        (
            with("email", json!("ada@example.org\r\nBcc: eve@example.org")),
            422,
            "invalid_body",
        ),
        (
            with("email", json!("ada@example.org\u{0}")),
            422,
            "invalid_body",
        ),
        (
            with("email", json!(format!("{}@example.org", "a".repeat(300)))),
            422,
            "invalid_body",
        ),
        (with("name", json!("")), 422, "invalid_body"),
        (with("name", json!("   ")), 422, "invalid_body"),
        (
            with("name", json!("Ada\r\nBcc: eve@example.org")),
            422,
            "invalid_body",
        ),
        (with("name", json!("Ada\u{0}")), 422, "invalid_body"),
        (with("name", json!("Ada\u{2028}Eve")), 422, "invalid_body"),
        (with("name", json!("a".repeat(101))), 422, "invalid_body"),
        (with("name", Value::Null), 422, "invalid_body"),
        (with("role", json!("ADMIN")), 422, "invalid_body"),
        (json!({"email": "ada@example.org"}), 422, "invalid_body"),
        (json!([]), 422, "invalid_body"),
    ];
    for (body, status, code) in cases {
        let (got, told) = problem(app.post("/api/auth/register", &body).await).await;
        assert_eq!(
            (got, told["code"].as_str()),
            (status, Some(code)),
            "{body} -> {told}"
        );
    }
    assert_eq!(app.accounts().await, 0);
}

#[tokio::test]
async fn every_field_at_fault_is_named_at_once() {
    let app = TestApp::start().await;
    let body = json!({"email": "ada", "password": PASSWORD, "name": ""});
    let (_, told) = problem(app.post("/api/auth/register", &body).await).await;
    let fields: Vec<_> = told["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["email", "name"]);
}

#[tokio::test]
async fn what_is_not_a_json_post_is_refused() {
    let app = TestApp::start().await;
    let url = app.service.at("/api/auth/register");
    let send = async |kind: &str, body: String| {
        let reply = app
            .service
            .client
            .post(&url)
            .header("content-type", kind)
            .body(body)
            .send()
            .await
            .unwrap();
        (reply.status().as_u16(), problem_code(reply).await)
    };
    assert_eq!(
        send("application/json", "{".into()).await,
        (400, "malformed_json".into())
    );
    assert_eq!(
        send("application/json", "[".repeat(200)).await,
        (422, "invalid_body".into())
    );
    assert_eq!(
        send("text/plain", "{}".into()).await,
        (415, "unsupported_media_type".into())
    );
    assert_eq!(
        send("application/json", format!("\"{}\"", "x".repeat(65 * 1024))).await,
        (413, "body_too_large".into())
    );
    let reply = app.get("/api/auth/register", None).await;
    assert_eq!(
        (reply.status().as_u16(), problem_code(reply).await),
        (405, "method_not_allowed".into())
    );
    assert_eq!(app.accounts().await, 0);
}
