use common::{auth::Role, ids::UserId};
use testkit::problem_code;

use crate::helpers::{TestApp, usd};

#[tokio::test]
async fn the_history_comes_in_pages_newest_first_and_without_names() {
    let app = TestApp::start().await;
    let mut gifts = Vec::new();
    for _ in 0..5 {
        let gift = app.gift(usd(2500)).await;
        app.delivery(&gift, |found| found["status"] == "SENT").await;
        gifts.push(gift.payment_id.to_string());
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for expected in [2, 2, 1] {
        let page = app
            .deliveries(&format!("?limit=2&status=SENT{cursor}"))
            .await;
        assert!(!page.to_string().contains("example.org") && !page.to_string().contains("Ada"));
        let data = page["data"].as_array().unwrap();
        assert_eq!(data.len(), expected);
        seen.extend(
            data.iter()
                .map(|delivery| delivery["payment_id"].as_str().unwrap().to_owned()),
        );
        cursor = page["next_cursor"]
            .as_str()
            .map(|next| format!("&cursor={next}"))
            .unwrap_or_default();
    }
    assert_eq!(cursor, "", "the last page says so");
    gifts.reverse();
    assert_eq!(seen, gifts);
    let shown = &app.deliveries("?limit=1").await["data"][0];
    assert_eq!(shown["kind"], "THANK_YOU");
    assert_eq!(
        shown["amount"],
        serde_json::json!({"amount": 2500, "currency": "USD"})
    );
    assert!(
        app.deliveries("?status=HELD").await["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn only_an_admin_reads_the_history() {
    let app = TestApp::start().await;
    let refused = async |token: Option<&str>| {
        let reply = app.history("", token).await;
        (reply.status().as_u16(), problem_code(reply).await)
    };
    assert_eq!(refused(None).await, (401, "unauthenticated".into()));
    assert_eq!(refused(Some("x")).await, (401, "invalid_token".into()));
    let donor = testkit::user_token(UserId::new(), Role::Donor);
    assert_eq!(refused(Some(&donor)).await, (403, "forbidden".into()));
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    let admin = testkit::user_token(UserId::new(), Role::Admin);
    for (query, code) in [
        ("?status=LOST", "invalid_query"),
        ("?limit=x", "invalid_query"),
        ("?limit=0", "invalid_limit"),
        ("?limit=101", "invalid_limit"),
        ("?cursor=x", "invalid_cursor"),
    ] {
        let reply = app.history(query, Some(&admin)).await;
        assert_eq!(
            (reply.status().as_u16(), problem_code(reply).await),
            (400, code.into()),
            "{query}"
        );
    }
}
