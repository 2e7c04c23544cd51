use serde_json::{Value, json};
use testkit::problem_code;

use crate::helpers::{TestApp, token};

#[tokio::test]
async fn logout_ends_the_whole_family_and_no_other() {
    let app = TestApp::start().await;
    let first = app.session("ada@example.org").await;
    let other: Value = app.login("ada@example.org").await.json().await.unwrap();
    let second: Value = app
        .refresh(token(&first, "refresh_token"))
        .await
        .json()
        .await
        .unwrap();
    let logout = async |token: &str| {
        app.post("/api/auth/logout", &json!({"refresh_token": token}))
            .await
            .status()
            .as_u16()
    };
    // A used token still says which family it is of.
    assert_eq!(logout(token(&first, "refresh_token")).await, 204);
    let ended = app.refresh(token(&second, "refresh_token")).await;
    assert_eq!(
        (ended.status().as_u16(), problem_code(ended).await),
        (401, "invalid_refresh_token".into())
    );
    assert_eq!(
        logout(token(&first, "refresh_token")).await,
        204,
        "ending it again changes nothing"
    );
    assert_eq!(
        logout("unknown").await,
        204,
        "nobody learns whether a token was one"
    );
    assert_eq!(
        app.refresh(token(&other, "refresh_token")).await.status(),
        200
    );
}
