use chrono::Duration;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::problem_code;

use crate::helpers::{TestApp, token};

#[tokio::test]
async fn a_refresh_token_works_once_and_its_successor_after_it() {
    let app = TestApp::start().await;
    let first = app.session("ada@example.org").await;
    let reply = app.refresh(token(&first, "refresh_token")).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["cache-control"], "no-store");
    let second: Value = reply.json().await.unwrap();
    assert_eq!(second["user"], first["user"]);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert!(
        testkit::verifier()
            .verify(token(&second, "access_token"))
            .is_ok()
    );
    let reused = app.refresh(token(&first, "refresh_token")).await;
    assert_eq!(
        (reused.status().as_u16(), problem_code(reused).await),
        (401, "invalid_refresh_token".into())
    );
    assert_eq!(
        app.refresh(token(&second, "refresh_token")).await.status(),
        200
    );
}

#[tokio::test]
async fn of_many_refreshes_at_once_one_succeeds() {
    let app = TestApp::start().await;
    let session = app.session("ada@example.org").await;
    let replies =
        futures::future::join_all((0..20).map(|_| app.refresh(token(&session, "refresh_token"))))
            .await;
    let succeeded = replies.iter().filter(|reply| reply.status() == 200).count();
    assert_eq!(succeeded, 1);
    let issued: i64 = sqlx::query_scalar("select count(*) from refresh_tokens")
        .fetch_one(&app.database.pool())
        .await
        .unwrap();
    assert_eq!(issued, 2, "the losers left no token behind");
}

#[tokio::test]
async fn a_refresh_token_ends_after_seven_days() {
    let app = TestApp::start().await;
    let (early, late) = (
        app.session("ada@example.org").await,
        app.login("ada@example.org").await,
    );
    let late: Value = late.json().await.unwrap();
    app.clock.advance(Duration::days(7) - Duration::seconds(1));
    assert_eq!(
        app.refresh(token(&early, "refresh_token")).await.status(),
        200
    );
    app.clock.advance(Duration::seconds(1));
    let reply = app.refresh(token(&late, "refresh_token")).await;
    assert_eq!(
        (reply.status().as_u16(), problem_code(reply).await),
        (401, "invalid_refresh_token".into())
    );
}

#[tokio::test]
async fn an_unknown_token_is_refused() {
    let app = TestApp::start().await;
    let session = app.session("ada@example.org").await;
    for unknown in [
        "",
        "0",
        "\u{0}",
        &"0".repeat(64),
        token(&session, "access_token"),
    ] {
        let reply = app.refresh(unknown).await;
        assert_eq!(
            (reply.status().as_u16(), problem_code(reply).await),
            (401, "invalid_refresh_token".into())
        );
    }
    let reply = app.post("/api/auth/refresh", &json!({})).await;
    assert_eq!(
        (reply.status().as_u16(), problem_code(reply).await),
        (422, "invalid_body".into())
    );
}

#[tokio::test]
async fn only_the_hash_of_a_token_is_stored() {
    let app = TestApp::start().await;
    let session = app.session("ada@example.org").await;
    let stored: Vec<u8> = sqlx::query_scalar("select token_hash from refresh_tokens")
        .fetch_one(&app.database.pool())
        .await
        .unwrap();
    assert_eq!(
        stored,
        Sha256::digest(token(&session, "refresh_token").as_bytes()).to_vec()
    );
}
