//! `GET /api/payments/{id}`

use common::{auth::Role, events::Capture, ids::UserId};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::{problem_code, user_token};
use uuid::Uuid;

use crate::world::World;

async fn get(world: &World, id: &str, headers: &[(&str, String)]) -> Response {
    let request = world
        .service
        .client
        .get(world.service.at(&format!("/api/payments/{id}")));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, value)
    });
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_payment_is_there_for_its_donor_and_for_admins_alone() {
    let world = World::start().await;
    let owner = UserId::new();
    let gift = world.gift_of(2500, Capture::Automatic, Some(owner));
    let other = world.gift();
    world.open(&gift).await;
    let id = gift.payment_id.to_string();
    let bearer = |user, role| {
        (
            "authorization",
            format!("Bearer {}", user_token(user, role)),
        )
    };
    let allowed = [
        ("x-guest-token", gift.guest_token.clone()),
        bearer(owner, Role::Donor),
        bearer(UserId::new(), Role::Admin),
    ];
    for header in allowed {
        let name = header.0;
        assert_eq!(
            get(&world, &id, &[header]).await.status(),
            StatusCode::OK,
            "{name}"
        );
    }
    let refused: [&[(&str, String)]; 5] = [
        &[],
        &[("x-guest-token", other.guest_token.clone())],
        &[("x-guest-token", gift.sealed.clone())],
        &[("x-guest-token", String::new())],
        &[bearer(UserId::new(), Role::Donor)],
    ];
    for headers in refused {
        let reply = get(&world, &id, headers).await;
        assert_eq!(reply.status(), StatusCode::NOT_FOUND);
        assert_eq!(problem_code(reply).await, "not_found");
    }
    let invalid = get(
        &world,
        &id,
        &[("authorization", "Bearer nonsense".to_owned())],
    )
    .await;
    assert_eq!(invalid.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_not_there_looks_like_what_is_not_yours() {
    let world = World::start().await;
    let gift = world.gift();
    for id in [
        gift.payment_id.to_string(),
        Uuid::new_v4().to_string(),
        "not-an-id".to_owned(),
    ] {
        let reply = get(&world, &id, &[("x-guest-token", gift.guest_token.clone())]).await;
        assert_eq!(reply.status(), StatusCode::NOT_FOUND, "{id}");
        assert_eq!(problem_code(reply).await, "not_found", "{id}");
    }
}

#[tokio::test]
async fn it_shows_where_the_payment_stands() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    world.verdict(&gift.declined(&intent)).await;
    let declined = world.payment(&gift).await;
    assert_eq!(
        (&declined["state"], &declined["version"]),
        (&json!("PENDING"), &json!(2))
    );
    assert_eq!(
        declined["failure"],
        json!({"code": "card_declined", "message": "no"})
    );
    world.verdict(&gift.captured(&intent)).await;
    let reply = world.get(&gift).await;
    assert_eq!(reply.headers()["etag"], "\"3\"");
    assert_eq!(reply.headers()["cache-control"], "no-store");
    let payment: Value = reply.json().await.unwrap();
    let usd = |minor: i64| json!({"amount": minor, "currency": "USD"});
    assert_eq!(payment["id"], gift.payment_id.to_string());
    assert_eq!(payment["campaign_id"], gift.ticket.campaign_id.to_string());
    assert_eq!(payment["state"], "CAPTURED");
    assert_eq!(payment["amount"], usd(2500));
    assert_eq!(payment["authorized"], usd(2500));
    assert_eq!(payment["captured"], usd(2500));
    assert_eq!(payment["refunded"], usd(0));
    assert_eq!(payment["failure"], Value::Null);
    assert!(payment.get("client_secret").is_none());
}
