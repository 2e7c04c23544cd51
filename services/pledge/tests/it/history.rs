//! Who sees a pledge, and how its status follows the payment.

use common::{
    auth::Role,
    events::PaymentKind,
    ids::{PledgeId, UserId},
    payment::State,
};
use http::StatusCode;
use serde_json::Value;
use testkit::{eventually, problem_code};

use crate::helpers::{Service, key};

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_the_pledge_with_its_token_and_nobody_else_does() {
    let service = Service::start().await;
    let mine: Value = service
        .pledge(&key(), &service.body())
        .await
        .json()
        .await
        .expect("JSON");
    let others: Value = service
        .pledge(&key(), &service.body())
        .await
        .json()
        .await
        .expect("JSON");
    let id = mine["pledge"]["id"].as_str().expect("an id");
    let token = mine["guest_token"].as_str();
    let seen = service.get(id, token).await;
    assert_eq!(seen.status(), StatusCode::OK);
    assert_eq!(seen.json::<Value>().await.expect("JSON"), mine["pledge"]);
    for wrong in [
        None,
        others["guest_token"].as_str(),
        Some("x"),
        mine["ticket"].as_str(),
    ] {
        let reply = service.get(id, wrong).await;
        assert_eq!(reply.status(), StatusCode::NOT_FOUND);
        assert_eq!(problem_code(reply).await, "not_found");
    }
    assert_eq!(
        service
            .get(&PledgeId::new().to_string(), token)
            .await
            .status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        service.get("nonsense", token).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lists_its_own_pledges_page_by_page() {
    let service = Service::start().await;
    let token = testkit::user_token(UserId::new(), Role::Donor);
    let mut made = Vec::new();
    for n in 0..5 {
        let mut wish = service.body();
        wish["amount"]["amount"] = (2500 + n).into();
        let reply = service
            .post(&key(), &wish)
            .bearer_auth(&token)
            .send()
            .await
            .expect("the service answers");
        let body: Value = reply.json().await.expect("JSON");
        made.push(body["pledge"]["id"].as_str().expect("an id").to_owned());
    }
    service.pledge(&key(), &service.body()).await;
    made.reverse();
    let mut listed = Vec::new();
    let mut url = service.running.at("/api/pledges/me?limit=2");
    loop {
        let page: Value = service
            .running
            .client
            .get(&url)
            .bearer_auth(&token)
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        listed.extend(
            page["data"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|pledge| pledge["id"].as_str().expect("an id").to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        url = service
            .running
            .at(&format!("/api/pledges/me?limit=2&cursor={cursor}"));
    }
    assert_eq!(listed, made);
    let client = &service.running.client;
    let guest = client
        .get(service.running.at("/api/pledges/me"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (guest.status(), problem_code(guest).await),
        (StatusCode::UNAUTHORIZED, "unauthenticated".into())
    );
    for (query, code) in [("cursor=x", "invalid_cursor"), ("limit=x", "invalid_query")] {
        let reply = client
            .get(service.running.at(&format!("/api/pledges/me?{query}")))
            .bearer_auth(&token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            (reply.status(), problem_code(reply).await),
            (StatusCode::BAD_REQUEST, code.into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_follows_the_newest_snapshot_however_they_arrive() {
    let service = Service::start().await;
    let made: Value = service
        .pledge(&key(), &service.body())
        .await
        .json()
        .await
        .expect("JSON");
    let id: PledgeId = made["pledge"]["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("a UUID");
    let steps = [
        (PaymentKind::Captured, State::Captured, 3),
        (PaymentKind::Created, State::Pending, 1),
        (PaymentKind::Captured, State::Captured, 3),
        (PaymentKind::Authorized, State::Authorized, 2),
        (PaymentKind::Completed, State::Completed, 4),
    ];
    for (kind, state, version) in steps {
        service
            .hear(&service.snapshot(id, kind, state, version))
            .await;
    }
    let pool = service.database.pool();
    let (status, version) = eventually("the last snapshot is shown", async || {
        let row: (String, i64, i64) = sqlx::query_as(
            "select status, version, payment_version from pledges where pledge_id = $1",
        )
        .bind(id.get())
        .fetch_one(&pool)
        .await
        .expect("the pledge is there");
        (row.2 == 4).then_some((row.0, row.1))
    })
    .await;
    assert_eq!(status, "COMPLETED");
    assert_eq!(
        version, 2,
        "the status changed once, so one new version was published"
    );
}
