//! Submit, approve, reject and close, over HTTP.

use serde_json::{Value, json};
use testkit::problem_code;

use crate::helpers::{App, key, path, proposal_with, text};

#[tokio::test]
async fn a_campaign_goes_from_draft_to_completed() {
    let app = App::start().await;
    let organiser = app.person();
    let id = app.draft(&organiser).await;

    for (step, bearer, status, version) in [
        ("submit", &organiser.token, "SUBMITTED", 2),
        ("approve", &app.admin, "ACTIVE", 3),
        ("close", &organiser.token, "COMPLETED", 4),
    ] {
        let moved = app.moved(&id, step, bearer).await;
        assert_eq!(
            (&moved["status"], &moved["version"]),
            (&json!(status), &json!(version))
        );
        let found = app.get(&format!("/api/campaigns/{id}"), Some(bearer)).await;
        assert_eq!(found.headers()["etag"], format!("\"{version}\""));
        assert_eq!(found.json::<Value>().await.unwrap(), moved);
    }
}

#[tokio::test]
async fn a_rejected_campaign_tells_its_organiser_why() {
    let app = App::start().await;
    let organiser = app.person();
    let id = app.draft(&organiser).await;
    app.moved(&id, "submit", &organiser.token).await;

    let rejected = app.moved(&id, "reject", &app.admin).await;

    assert_eq!(rejected["status"], "REJECTED");
    let found = app
        .get(&format!("/api/campaigns/{id}"), Some(&organiser.token))
        .await;
    let found: Value = found.json().await.unwrap();
    assert_eq!(found["rejection_reason"], "too vague");
}

#[tokio::test]
async fn what_the_way_does_not_allow_is_a_conflict_and_changes_nothing() {
    let app = App::start().await;
    let organiser = app.person();
    let draft = app.draft(&organiser).await;
    let submitted = app.draft(&organiser).await;
    app.moved(&submitted, "submit", &organiser.token).await;
    let active = app.active(&organiser).await;
    let rejected = app.draft(&organiser).await;
    app.moved(&rejected, "submit", &organiser.token).await;
    app.moved(&rejected, "reject", &app.admin).await;
    let completed = app.active(&organiser).await;
    app.moved(&completed, "close", &organiser.token).await;

    for (id, steps) in [
        (&draft, &["approve", "reject", "close"][..]),
        (&submitted, &["submit", "close"]),
        (&active, &["submit", "approve", "reject"]),
        (&rejected, &["submit", "approve", "reject", "close"]),
        (&completed, &["submit", "approve", "reject", "close"]),
    ] {
        let seen = async || -> Value {
            let found = app
                .get(&format!("/api/campaigns/{id}"), Some(&app.admin))
                .await;
            found.json().await.unwrap()
        };
        let before = seen().await;
        for step in steps {
            let body = (*step == "reject").then(|| json!({"reason": "too late"}));
            let reply = app.post(&path(id, step), &app.admin, body.as_ref()).await;
            assert_eq!(reply.status(), 409, "{step} of {}", before["status"]);
            assert_eq!(problem_code(reply).await, "invalid_transition");
        }
        assert_eq!(seen().await, before);
    }
}

#[tokio::test]
async fn a_repeated_submit_with_one_key_replays_and_with_another_conflicts() {
    let app = App::start().await;
    let organiser = app.person();
    let id = app.draft(&organiser).await;
    let key = key();
    let submit = async |key: &str| {
        app.post_as(&path(&id, "submit"), &organiser.token, key, None)
            .await
    };

    let first = submit(&key).await;
    app.moved(&id, "approve", &app.admin).await;
    let again = submit(&key).await;
    let other = submit(&self::key()).await;

    assert_eq!(
        (first.status().as_u16(), again.status().as_u16()),
        (200, 200)
    );
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.headers()["etag"], "\"2\"");
    assert_eq!(first.bytes().await.unwrap(), again.bytes().await.unwrap());
    assert_eq!(problem_code(other).await, "invalid_transition");
}

#[tokio::test]
async fn one_key_may_serve_two_campaigns() {
    let app = App::start().await;
    let organiser = app.person();
    let (one, two) = (app.draft(&organiser).await, app.draft(&organiser).await);
    let key = key();

    for id in [&one, &two] {
        let reply = app
            .post_as(&path(id, "submit"), &organiser.token, &key, None)
            .await;
        assert_eq!(reply.status(), 200);
        assert_eq!(text(&reply.json::<Value>().await.unwrap()["id"]), *id);
    }
}

#[tokio::test]
async fn of_many_submits_at_once_exactly_one_moves_the_campaign() {
    let app = App::start().await;
    let organiser = app.person();
    let id = app.draft(&organiser).await;
    let (app, organiser, id) = (&app, &organiser, &id);
    let calls = (0..10).map(async |_| {
        let reply = app.post(&path(id, "submit"), &organiser.token, None).await;
        reply.status().as_u16()
    });

    let mut statuses = futures::future::join_all(calls).await;

    statuses.sort_unstable();
    assert_eq!(statuses, [&[200][..], &[409; 9]].concat());
    let found = app
        .get(&format!("/api/campaigns/{id}"), Some(&organiser.token))
        .await;
    assert_eq!(found.headers()["etag"], "\"2\"");
}

#[tokio::test]
async fn only_the_organiser_and_admins_move_a_campaign() {
    let app = App::start().await;
    let (organiser, other) = (app.person(), app.person());
    let (draft, active) = (app.draft(&organiser).await, app.active(&organiser).await);

    // What others may not see is not there for them, whatever they try.
    let hidden = app.post(&path(&draft, "submit"), &other.token, None).await;
    assert_eq!(hidden.status(), 404);
    assert_eq!(problem_code(hidden).await, "not_found");
    let visible = app.post(&path(&active, "close"), &other.token, None).await;
    assert_eq!(visible.status(), 403);
    assert_eq!(problem_code(visible).await, "not_organiser");
    let reason = json!({"reason": "too vague"});
    for (step, body) in [("approve", None), ("reject", Some(&reason))] {
        let reply = app.post(&path(&draft, step), &organiser.token, body).await;
        assert_eq!(reply.status(), 403);
        assert_eq!(problem_code(reply).await, "forbidden");
    }
    assert_eq!(
        app.moved(&draft, "submit", &app.admin).await["status"],
        "SUBMITTED"
    );
}

#[tokio::test]
async fn a_campaign_whose_end_has_passed_is_not_approved() {
    let app = App::start().await;
    let organiser = app.person();
    let body = proposal_with("ends_at", json!("2026-03-01T12:05:00Z"));
    let made = app
        .post("/api/campaigns", &organiser.token, Some(&body))
        .await;
    let id = text(&made.json::<Value>().await.unwrap()["id"]);
    app.moved(&id, "submit", &organiser.token).await;

    app.clock.advance(chrono::Duration::minutes(5));
    let reply = app.post(&path(&id, "approve"), &app.admin, None).await;

    assert_eq!(reply.status(), 409);
    assert_eq!(problem_code(reply).await, "campaign_ended");
}

#[tokio::test]
async fn a_campaign_that_runs_is_called_off_for_good_and_says_why() {
    let app = App::start().await;
    let organiser = app.person();
    let id = app.active(&organiser).await;
    let short = Some(json!({"reason": "no"}));
    let reply = app
        .post(&path(&id, "cancel"), &organiser.token, short.as_ref())
        .await;
    assert_eq!(problem_code(reply).await, "invalid_reason");
    let stranger = app.person();
    let reason = Some(json!({"reason": "not mine"}));
    let reply = app
        .post(&path(&id, "cancel"), &stranger.token, reason.as_ref())
        .await;
    assert_eq!(problem_code(reply).await, "not_organiser");

    let off = app.moved(&id, "cancel", &organiser.token).await;

    assert_eq!(
        (&off["status"], &off["stop_reason"]),
        (&json!("CANCELLED"), &json!("too vague"))
    );
    let seen = app.get(&format!("/api/campaigns/{id}"), None).await;
    assert_eq!(
        seen.json::<Value>().await.unwrap(),
        off,
        "its donors can read why"
    );
    for step in ["cancel", "suspend", "resume", "close"] {
        let body = ["cancel", "suspend"]
            .contains(&step)
            .then(|| json!({"reason": "once more"}));
        let reply = app.post(&path(&id, step), &app.admin, body.as_ref()).await;
        assert_eq!(problem_code(reply).await, "invalid_transition", "{step}");
    }
}

#[tokio::test]
async fn an_admin_suspends_a_campaign_and_lets_it_go_on() {
    let app = App::start().await;
    let organiser = app.person();
    let id = app.active(&organiser).await;
    for step in ["suspend", "resume"] {
        let body = (step == "suspend").then(|| json!({"reason": "a doubt"}));
        let reply = app
            .post(&path(&id, step), &organiser.token, body.as_ref())
            .await;
        assert_eq!(reply.status(), 403, "{step}");
    }

    let suspended = app.moved(&id, "suspend", &app.admin).await;
    assert_eq!(
        (&suspended["status"], &suspended["stop_reason"]),
        (&json!("SUSPENDED"), &json!("too vague"))
    );
    let hidden = app.get(&format!("/api/campaigns/{id}"), None).await;
    assert_eq!(hidden.status(), 404);
    let resumed = app.moved(&id, "resume", &app.admin).await;
    assert_eq!(resumed["status"], "ACTIVE");
    assert_eq!(resumed.get("stop_reason"), None);
}
