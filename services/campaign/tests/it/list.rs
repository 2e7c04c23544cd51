//! `GET /api/campaigns`

use serde_json::Value;
use testkit::problem_code;

use crate::helpers::{App, text};

async fn page(app: &App, query: &str, bearer: Option<&str>) -> (Vec<String>, Option<String>) {
    let reply = app.get(&format!("/api/campaigns{query}"), bearer).await;
    assert_eq!(reply.status(), 200, "{query}");
    let body: Value = reply.json().await.unwrap();
    let ids = body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| text(&item["id"]))
        .collect();
    (ids, body["next_cursor"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn pages_stay_whole_while_campaigns_come() {
    let app = App::start().await;
    let organiser = app.person();
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, app.active(&organiser).await);
    }

    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let (ids, next) = page(&app, &query, None).await;
        seen.extend(ids);
        let Some(cursor) = next else { break };
        // A newer campaign between two pages neither shifts nor repeats anything.
        app.active(&organiser).await;
        query = format!("?limit=2&cursor={cursor}");
    }

    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_last_page_that_is_full_has_no_cursor() {
    let app = App::start().await;
    let organiser = app.person();
    assert_eq!(page(&app, "", None).await, (Vec::new(), None));
    let ids = [app.active(&organiser).await, app.active(&organiser).await];

    assert_eq!(
        page(&app, "?limit=1", None).await,
        (vec![ids[1].clone()], Some(ids[1].clone()))
    );
    assert_eq!(page(&app, "?limit=2", None).await.1, None);
    assert_eq!(page(&app, "?limit=100", None).await.0.len(), 2);
}

#[tokio::test]
async fn drafts_are_listed_to_their_organiser_and_to_admins_alone() {
    let app = App::start().await;
    let (one, two) = (app.person(), app.person());
    let (of_one, of_two) = (app.draft(&one).await, app.draft(&two).await);
    let active = app.active(&one).await;

    assert_eq!(
        page(&app, "?status=DRAFT", Some(&one.token)).await.0,
        [of_one.as_str()]
    );
    assert_eq!(
        page(&app, "?status=DRAFT", Some(&two.token)).await.0,
        [of_two.as_str()]
    );
    assert_eq!(
        page(&app, "?status=DRAFT", Some(&app.admin)).await.0,
        [of_two, of_one]
    );
    assert!(page(&app, "?status=DRAFT", None).await.0.is_empty());
    assert!(page(&app, "?status=COMPLETED", None).await.0.is_empty());
    assert_eq!(page(&app, "", None).await.0, [active.as_str()]);
    assert_eq!(
        page(&app, "?status=ACTIVE", Some(&two.token)).await.0,
        [active]
    );
}

#[tokio::test]
async fn an_item_has_what_a_card_shows_and_not_the_story() {
    let app = App::start().await;
    app.active(&app.person()).await;

    let reply = app.get("/api/campaigns", None).await;

    let body: Value = reply.json().await.unwrap();
    let item = body["data"][0].as_object().unwrap();
    for member in [
        "id",
        "title",
        "goal",
        "currency",
        "status",
        "ends_at",
        "min_amount",
        "version",
    ] {
        assert!(item.contains_key(member), "{member}");
    }
    assert!(!item.contains_key("story"));
}

#[tokio::test]
async fn what_cannot_be_listed_is_refused() {
    let app = App::start().await;

    for (query, code) in [
        ("?limit=0", "invalid_limit"),
        ("?limit=101", "invalid_limit"),
        ("?limit=-1", "invalid_limit"),
        ("?limit=ten", "invalid_query"),
        ("?status=active", "invalid_query"),
        ("?cursor=x", "invalid_cursor"),
    ] {
        let reply = app.get(&format!("/api/campaigns{query}"), None).await;
        assert_eq!(reply.status(), 400, "{query}");
        assert_eq!(problem_code(reply).await, code, "{query}");
    }
}
