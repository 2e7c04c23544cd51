//! `/api/admin/webhooks`: what was kept, without secrets, and judged again on an admin's order.

use common::{auth::Role, ids::UserId};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use testkit::{problem_code, user_token};
use uuid::Uuid;

use crate::world::{Gift, WEBHOOK_SECRET, World, sign_with};

const PATH: &str = "/api/admin/webhooks";

async fn get(world: &World, path: &str) -> Value {
    let request = world.service.client.get(world.service.at(path));
    let token = user_token(UserId::new(), Role::Admin);
    let reply = request.bearer_auth(token).send().await.unwrap();
    let status = reply.status();
    let body: Value = reply.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn replay(world: &World, event: &str, dry_run: bool, key: &str) -> Response {
    let path = format!("{PATH}/{event}/replay?dry_run={dry_run}");
    let request = world.service.client.post(world.service.at(&path));
    let token = user_token(UserId::from(Uuid::from_u128(7)), Role::Admin);
    let request = request.bearer_auth(token).header("idempotency-key", key);
    request.send().await.unwrap()
}

async fn replayed(world: &World, event: &str, dry_run: bool) -> Value {
    let reply = replay(world, event, dry_run, &Uuid::new_v4().to_string()).await;
    let status = reply.status();
    let body: Value = reply.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

fn id(event: &Value) -> &str {
    event["id"].as_str().unwrap()
}

/// An event that was parked, and whose payment has come since, behind the worker's back.
async fn parked(world: &World) -> (Gift, Value) {
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    let event = gift.captured(&intent);
    sqlx::query("update payments set provider_ref = null, outcome = 'none'")
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(world.verdict(&event).await, "CONFLICT");
    sqlx::query("update payments set provider_ref = $1, outcome = 'known'")
        .bind(intent)
        .execute(&world.pool)
        .await
        .unwrap();
    (gift, event)
}

#[tokio::test]
async fn a_dry_run_shows_what_a_replay_would_change_and_changes_nothing() {
    let world = World::start().await;
    let (gift, event) = parked(&world).await;
    let shown = replayed(&world, id(&event), true).await;
    assert_eq!(
        (&shown["verdict"], &shown["dry_run"]),
        (&json!("IMPLIED"), &json!(true))
    );
    assert_eq!(shown["diff"]["before"]["state"], "PENDING");
    assert_eq!(shown["diff"]["after"]["state"], "CAPTURED");
    assert_eq!(shown["diff"]["after"]["captured"], 2500);
    assert_eq!(world.state(&gift).await, "PENDING");
    let kept: i64 = sqlx::query_scalar("select count(*) from webhook_rulings")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_replay_acts_once_and_is_signed_by_the_admin() {
    let world = World::start().await;
    let (gift, event) = parked(&world).await;
    let first = replay(&world, id(&event), false, "one-key-0001").await;
    let body = first.text().await.unwrap();
    assert!(body.contains("IMPLIED"), "{body}");
    let twin = replay(&world, id(&event), false, "one-key-0001").await;
    assert_eq!(twin.headers()["idempotent-replayed"], "true");
    assert_eq!(twin.text().await.unwrap(), body);
    assert_eq!(world.state(&gift).await, "CAPTURED");
    let again = replayed(&world, id(&event), false).await;
    assert_eq!(again["verdict"], "DUPLICATE");
    assert_eq!(world.payment(&gift).await["version"], 2);
    let detail = get(&world, &format!("{PATH}/{}", id(&event))).await;
    assert_eq!(detail["verdict"], "CONFLICT");
    let rulings = detail["rulings"].as_array().unwrap();
    assert_eq!(rulings.len(), 2);
    assert_eq!(rulings[0]["verdict"], "IMPLIED");
    assert_eq!(rulings[0]["ruled_by"], Uuid::from_u128(7).to_string());
    assert_eq!(rulings[0]["diff"]["after"]["version"], 2);
}

#[tokio::test]
async fn two_replays_of_one_event_at_once_are_two_verdicts() {
    let world = World::start().await;
    let event = json!({"id": "evt_of_tomorrow", "type": "type.of_tomorrow"});
    let before = ignored(&world).await;
    for round in 1..=10 {
        assert!(["IGNORED", "DUPLICATE"].contains(&world.verdict(&event).await.as_str()));
        let twice = futures::join!(
            replayed(&world, id(&event), false),
            replayed(&world, id(&event), false)
        );
        assert_eq!(twice.0["verdict"], "IGNORED");
        assert_eq!(twice.1["verdict"], "IGNORED");
        let detail = get(&world, &format!("{PATH}/{}", id(&event))).await;
        assert_eq!(detail["rulings"].as_array().unwrap().len(), 2 * round);
    }
    // More than all other tests of this process can have added meanwhile.
    assert!(ignored(&world).await >= before + 20, "each is counted");
}

/// How many deliveries were counted that concern no payment.
async fn ignored(world: &World) -> u64 {
    let request = world.service.client.get(world.service.at("/metrics"));
    let metrics = request.send().await.unwrap().text().await.unwrap();
    let counted = r#"webhook_verdicts_total{verdict="IGNORED"} "#;
    let counted = metrics.lines().find_map(|line| line.strip_prefix(counted));
    counted.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_declined_try_that_is_replayed_is_not_counted_twice() {
    let world = World::start().await;
    let gift = world.gift();
    let event = gift.declined(&world.open(&gift).await.intent);
    assert_eq!(world.verdict(&event).await, "APPLIED");
    assert_eq!(
        replayed(&world, id(&event), false).await["verdict"],
        "DUPLICATE"
    );
    assert_eq!(world.payment(&gift).await["version"], 2);
}

#[tokio::test]
async fn the_list_tells_verdicts_and_what_they_changed_and_no_body() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    let captured = gift.captured(&intent);
    for event in [
        &gift.authorized(&intent),
        &captured,
        &gift.captured("pi_another"),
    ] {
        world.deliver(event).await;
    }
    world.deliver(&captured).await;
    let page = get(&world, &format!("{PATH}?limit=2")).await;
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = get(&world, &format!("{PATH}?limit=2&cursor={cursor}")).await;
    assert_eq!(next["data"].as_array().unwrap().len(), 1);
    let applied = get(&world, &format!("{PATH}?verdict=APPLIED")).await;
    let newest = &applied["data"][0];
    assert_eq!(newest["id"], captured["id"]);
    assert_eq!(newest["payment_id"], gift.payment_id.to_string());
    assert_eq!(newest["diff"]["before"]["state"], "AUTHORIZED");
    assert_eq!(newest["diff"]["after"]["state"], "CAPTURED");
    let conflicts = get(&world, &format!("{PATH}?verdict=CONFLICT")).await;
    assert_eq!(conflicts["data"].as_array().unwrap().len(), 1);
    assert!(
        !applied.to_string().contains("metadata"),
        "no body is told: {applied}"
    );
    let detail = get(&world, &format!("{PATH}/{}", id(&captured))).await;
    assert_eq!(detail["came_again"], 1);
}

#[tokio::test]
async fn what_a_list_of_replayed_verdicts_counts_is_the_last_one() {
    let world = World::start().await;
    let (_, event) = parked(&world).await;
    replayed(&world, id(&event), false).await;
    let of = async |verdict: &str| {
        let page = get(&world, &format!("{PATH}?verdict={verdict}")).await;
        page["data"].as_array().unwrap().len()
    };
    assert_eq!((of("CONFLICT").await, of("IMPLIED").await), (0, 1));
}

#[tokio::test]
async fn a_body_is_shown_without_secrets_and_personal_data() {
    let world = World::start().await;
    let gift = world.gift();
    let told = json!({"client_secret": "pi_1_secret_2", "receipt_email": "ada@example.org",
                      "charges": [{"billing_details": {"email": "ada@example.org", "name": "Ada"}}]});
    let event = gift.news(
        "payment_intent.created",
        &world.open(&gift).await.intent,
        &told,
    );
    world.deliver(&event).await;
    let detail = get(&world, &format!("{PATH}/{}", id(&event))).await;
    assert_eq!(
        detail["body"]["data"]["object"]["client_secret"],
        "[redacted]"
    );
    assert_eq!(detail["body"]["data"]["object"]["amount"], 2500);
    let text = detail.to_string();
    for secret in ["pi_1_secret_2", "ada@example.org", "\"Ada\""] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn what_was_not_believed_is_kept_for_a_look_and_never_an_event() {
    let world = World::start().await;
    let gift = world.gift();
    let event = gift.captured("pi_1").to_string();
    let forged = sign_with(
        &"whsec_forged".into(),
        &event,
        world.clock.now().timestamp(),
    );
    for _ in 0..70 {
        let reply = world.deliver_signed(event.clone(), Some(&forged)).await;
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    }
    let page = get(&world, &format!("{PATH}?verdict=REJECTED&limit=100")).await;
    let kept = page["data"].as_array().unwrap();
    assert_eq!(kept.len(), 60, "so many a minute");
    assert_eq!(
        (&kept[0]["detail"], &kept[0]["verdict"]),
        (&json!("forged"), &json!("REJECTED"))
    );
    assert!(
        get(&world, PATH).await["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let shown = get(&world, &format!("{PATH}/{}", id(&kept[0]))).await;
    assert_eq!(
        (&shown["verdict"], &shown["detail"]),
        (&json!("REJECTED"), &json!("forged"))
    );
    assert_eq!(shown["signature"], forged);
    assert_eq!(
        shown["headers"]["content-type"],
        "application/json; charset=utf-8"
    );
    assert_eq!(shown["body"]["data"]["object"]["amount_received"], 2500);
    for unknown in ["rejected_", "rejected_x", "rejected_999"] {
        let path = format!("{PATH}/{unknown}");
        let reply = world.admin(Method::GET, &path, &Value::Null).await;
        assert_eq!(problem_code(reply).await, "not_found", "{unknown}");
    }
    let replayed = replay(&world, id(&kept[0]), false, "one-key-0003").await;
    assert_eq!(problem_code(replayed).await, "not_found");
}

#[tokio::test]
async fn the_aliases_are_the_same_door() {
    let world = World::start().await;
    let gift = world.gift();
    let event = gift.captured(&world.open(&gift).await.intent).to_string();
    let mut verdicts = Vec::new();
    for path in [
        "/api/webhooks/payment",
        "/api/payments/webhook",
        "/api/webhooks/psp/stripe",
    ] {
        let request = world
            .service
            .client
            .post(world.service.at(path))
            .body(event.clone());
        let unsigned = request.try_clone().unwrap().send().await.unwrap();
        assert_eq!(problem_code(unsigned).await, "bad_signature");
        let signature = sign_with(
            &WEBHOOK_SECRET.into(),
            &event,
            world.clock.now().timestamp(),
        );
        let reply = request
            .header("stripe-signature", signature)
            .send()
            .await
            .unwrap();
        let receipt: Value = reply.json().await.unwrap();
        verdicts.push(receipt["verdict"].as_str().unwrap().to_owned());
    }
    assert_eq!(verdicts, ["IMPLIED", "DUPLICATE", "DUPLICATE"]);
}

#[tokio::test]
async fn only_admins_look_and_replay_and_nonsense_has_its_code() {
    let world = World::start().await;
    let donor = user_token(UserId::new(), Role::Donor);
    for path in [PATH.to_owned(), format!("{PATH}/evt_1")] {
        let request = world.service.client.get(world.service.at(&path));
        let reply = request.bearer_auth(&donor).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::FORBIDDEN, "{path}");
    }
    let reply = replay(&world, "evt_of_nobody", false, "one-key-0002").await;
    assert_eq!(problem_code(reply).await, "not_found");
    for nonsense in ["%00", "evt_%00", "evt%20of%20nobody", "%C3%A9"] {
        let path = format!("{PATH}/{nonsense}");
        let reply = world.admin(Method::GET, &path, &Value::Null).await;
        assert_eq!(problem_code(reply).await, "not_found", "{nonsense}");
        let path = format!("{path}/replay?dry_run=false");
        let reply = world.admin(Method::POST, &path, &Value::Null).await;
        assert_eq!(problem_code(reply).await, "not_found", "{nonsense}");
    }
    let request = world
        .service
        .client
        .get(world.service.at(&format!("{PATH}?verdict=PERHAPS")));
    let token = user_token(UserId::new(), Role::Admin);
    let reply = request.bearer_auth(token).send().await.unwrap();
    assert_eq!(problem_code(reply).await, "invalid_verdict");
}
