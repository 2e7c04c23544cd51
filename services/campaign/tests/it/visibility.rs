//! Who sees what.

use serde_json::Value;
use testkit::problem_code;
use uuid::Uuid;

use crate::helpers::App;

#[tokio::test]
async fn what_is_not_public_exists_for_organiser_and_admins_alone() {
    let app = App::start().await;
    let (organiser, other) = (app.person(), app.person());
    let draft = app.draft(&organiser).await;
    let submitted = app.draft(&organiser).await;
    app.moved(&submitted, "submit", &organiser.token).await;
    let rejected = app.draft(&organiser).await;
    app.moved(&rejected, "submit", &organiser.token).await;
    app.moved(&rejected, "reject", &app.admin).await;

    for id in [&draft, &submitted, &rejected] {
        let path = format!("/api/campaigns/{id}");
        for bearer in [&organiser.token, &app.admin] {
            assert_eq!(app.get(&path, Some(bearer)).await.status(), 200);
        }
        for bearer in [None, Some(other.token.as_str())] {
            let reply = app.get(&path, bearer).await;
            assert_eq!(reply.status(), 404);
            assert_eq!(problem_code(reply).await, "not_found");
        }
    }
}

#[tokio::test]
async fn what_is_or_was_active_is_there_for_everybody() {
    let app = App::start().await;
    let organiser = app.person();
    let active = app.active(&organiser).await;
    let completed = app.active(&organiser).await;
    app.moved(&completed, "close", &organiser.token).await;

    for (id, status) in [(active, "ACTIVE"), (completed, "COMPLETED")] {
        let reply = app.get(&format!("/api/campaigns/{id}"), None).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.json::<Value>().await.unwrap()["status"], status);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let app = App::start().await;

    for id in [
        Uuid::nil().to_string(),
        "no-uuid".to_owned(),
        "%00".to_owned(),
    ] {
        let reply = app.get(&format!("/api/campaigns/{id}"), None).await;
        assert_eq!(reply.status(), 404, "{id}");
        assert_eq!(problem_code(reply).await, "not_found");
    }
}
