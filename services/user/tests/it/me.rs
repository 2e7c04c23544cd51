use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Duration;
use common::{auth::Role, ids::UserId};
use serde_json::{Value, json};
use testkit::problem_code;

use crate::helpers::{TestApp, token};

#[tokio::test]
async fn an_account_is_shown_to_its_holder() {
    let app = TestApp::start().await;
    let session = app.session("ada@example.org").await;
    let reply = app
        .get("/api/users/me", Some(token(&session, "access_token")))
        .await;
    assert_eq!(reply.headers()["cache-control"], "no-store");
    assert_eq!(reply.json::<Value>().await.unwrap(), session["user"]);
}

#[tokio::test]
async fn a_token_that_is_not_ours_is_refused() {
    let app = TestApp::start().await;
    let user = UserId::new();
    let now = app.clock.now();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = part(json!({
        "iss": "careforall", "aud": "careforall", "sub": user, "role": "ADMIN", "typ": "access",
        "iat": now.timestamp(), "exp": now.timestamp() + 900, "jti": uuid::Uuid::now_v7(),
    }));
    let unsigned = format!(
        "{}.{claims}.",
        part(json!({"alg": "none", "kid": "main", "typ": "JWT"}))
    );
    let other_key = testkit::other_issuer()
        .access(user, Role::Admin, now)
        .unwrap();
    let expired = testkit::issuer()
        .access(user, Role::Admin, now - Duration::minutes(15))
        .unwrap();
    let valid = testkit::user_token(user, Role::Donor);
    let (head, signature) = (
        valid.split('.').next().unwrap(),
        valid.rsplit('.').next().unwrap(),
    );
    let forged = format!("{head}.{claims}.{signature}");
    for token in [unsigned, other_key, expired, forged, "x".to_owned()] {
        let reply = app.get("/api/users/me", Some(&token)).await;
        assert_eq!(
            (reply.status().as_u16(), problem_code(reply).await),
            (401, "invalid_token".into()),
            "{token}"
        );
    }
}

#[tokio::test]
async fn nobody_is_shown_nothing() {
    let app = TestApp::start().await;
    let without = app.get("/api/users/me", None).await;
    assert_eq!(
        (without.status().as_u16(), problem_code(without).await),
        (401, "unauthenticated".into())
    );
    let gone = app
        .get(
            "/api/users/me",
            Some(&testkit::user_token(UserId::new(), Role::Donor)),
        )
        .await;
    assert_eq!(
        (gone.status().as_u16(), problem_code(gone).await),
        (401, "unauthenticated".into())
    );
}

#[tokio::test]
async fn the_published_keys_are_those_that_verify() {
    let app = TestApp::start().await;
    let keys: Value = app
        .get("/.well-known/jwks.json", None)
        .await
        .json()
        .await
        .unwrap();
    let configured: Value = serde_json::from_str(&testkit::public_keys()).unwrap();
    let expected = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "main", "x": configured["main"]},
    ]});
    assert_eq!(keys, expected);
}
