use common::{auth::Role, ids::UserId};
use serde_json::{Value, json};
use testkit::problem_code;

use crate::helpers::{PASSWORD, TestApp, problem, token};

#[tokio::test]
async fn a_session_is_a_token_that_verifies_and_one_to_continue_with() {
    let app = TestApp::start().await;
    app.register("ada@example.org").await;
    let reply = app.login(" ADA@example.ORG").await;
    assert_eq!(reply.headers()["cache-control"], "no-store");
    let session: Value = reply.json().await.unwrap();
    assert_eq!(session["expires_in"], 900);
    assert_eq!(token(&session, "refresh_token").len(), 64);
    let identity = testkit::verifier()
        .verify(token(&session, "access_token"))
        .unwrap();
    assert_eq!(identity.role, Role::Donor);
    let id: UserId = serde_json::from_value(session["user"]["id"].clone()).unwrap();
    assert_eq!(identity.user_id, id);
}

#[tokio::test]
async fn nobody_learns_whether_the_address_or_the_password_was_wrong() {
    let app = TestApp::start().await;
    app.register("ada@example.org").await;
    let mut replies = Vec::new();
    for (email, password) in [
        ("ada@example.org", "not her password"),
        ("eve@example.org", PASSWORD),
        ("not an address", PASSWORD),
        ("\u{0}", PASSWORD),
        ("ada@example.org", &"x".repeat(10_000)),
        ("ada@example.org", ""),
    ] {
        let reply = app
            .post(
                "/api/auth/login",
                &json!({"email": email, "password": password}),
            )
            .await;
        assert_eq!(reply.headers()["www-authenticate"], "Bearer");
        replies.push(problem(reply).await);
    }
    assert_eq!(replies[0].0, 401);
    assert_eq!(replies[0].1["code"], "invalid_credentials");
    for reply in &replies {
        assert_eq!(reply, &replies[0]);
    }
}

#[tokio::test]
async fn a_suspended_account_is_closed_to_its_holder() {
    let app = TestApp::start().await;
    let session = app.session("ada@example.org").await;
    app.suspend_all().await;
    assert_eq!(
        problem_code(app.login("ada@example.org").await).await,
        "invalid_credentials"
    );
    assert_eq!(
        problem_code(app.refresh(token(&session, "refresh_token")).await).await,
        "invalid_refresh_token"
    );
    assert_eq!(
        problem_code(
            app.get("/api/users/me", Some(token(&session, "access_token")))
                .await
        )
        .await,
        "unauthenticated"
    );
}

#[tokio::test]
async fn unknown_and_missing_fields_are_refused() {
    let app = TestApp::start().await;
    for body in [
        json!({"email": "a@b.c"}),
        json!({"email": "a@b.c", "password": "x", "otp": "1"}),
    ] {
        let reply = app.post("/api/auth/login", &body).await;
        assert_eq!(
            (reply.status().as_u16(), problem_code(reply).await),
            (422, "invalid_body".into())
        );
    }
}
