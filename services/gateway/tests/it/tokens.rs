//! A token that does not verify goes no further than the gateway.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::clock::Clock;
use common::{auth::Role, ids::UserId};
use http::Method;
use testkit::problem_code;

use crate::helpers::Fleet;

#[tokio::test]
async fn a_token_that_does_not_verify_is_refused_before_forwarding() {
    let fleet = Fleet::start().await;
    let now = Clock::system().now();
    let good = testkit::user_token(UserId::new(), Role::Admin);
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let bad = [
        (
            "expired",
            testkit::issuer()
                .access(
                    UserId::new(),
                    Role::Donor,
                    now - chrono::Duration::minutes(16),
                )
                .unwrap(),
        ),
        (
            "another key",
            testkit::other_issuer()
                .access(UserId::new(), Role::Admin, now)
                .unwrap(),
        ),
        (
            "alg none, no signature",
            format!(
                "{}.{claims}.",
                encode(r#"{"alg":"none","typ":"JWT","kid":"main"}"#)
            ),
        ),
        (
            "alg none, a signature",
            format!(
                "{}.{claims}.{signature}",
                encode(r#"{"alg":"none","kid":"main"}"#)
            ),
        ),
        (
            "HMAC under the public key",
            format!(
                "{}.{claims}.{signature}",
                encode(r#"{"alg":"HS256","kid":"main"}"#)
            ),
        ),
        (
            "unknown key id",
            format!(
                "{}.{claims}.{signature}",
                encode(r#"{"alg":"EdDSA","kid":"other"}"#)
            ),
        ),
        (
            "claims of its own",
            format!(
                "{head}.{}.{signature}",
                encode(r#"{"sub":"x","role":"ADMIN"}"#)
            ),
        ),
        ("no signature", format!("{head}.{claims}.")),
        ("nothing", String::new()),
        ("not a token", "abc".to_owned()),
    ];
    for (what, token) in bad {
        let reply = fleet
            .request(Method::POST, "/api/pledges")
            .header("authorization", format!("Bearer {token}"))
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 401, "{what}");
        assert!(reply.headers().contains_key("www-authenticate"));
        assert_eq!(problem_code(reply).await, "invalid_token", "{what}");
    }
    let reply = fleet
        .request(Method::GET, "/api/users/me")
        .header("authorization", "Basic YTpi")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 401);
    assert!(fleet.seen().is_empty());
}

#[tokio::test]
async fn a_good_token_is_passed_on_and_a_guest_needs_none() {
    let fleet = Fleet::start().await;
    let authorization = format!("Bearer {}", testkit::user_token(UserId::new(), Role::Donor));
    for _ in 0..2 {
        let reply = fleet
            .request(Method::GET, "/api/users/me")
            .header("authorization", &authorization)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200);
    }
    assert_eq!(fleet.get("/api/users/me").await.status(), 200);
    let seen: Vec<_> = fleet
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(
        seen,
        [Some(authorization.clone()), Some(authorization), None]
    );
}
