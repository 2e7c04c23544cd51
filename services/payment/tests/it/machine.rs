//! What may happen to a payment, and what did.

use common::{
    events::Capture,
    payment::{Event, State, Step, apply},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::problem_code;

use crate::world::World;

async fn read(world: &World, path: &str) -> Value {
    let reply = world
        .service
        .client
        .get(world.service.at(path))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    reply.json().await.unwrap()
}

#[tokio::test]
async fn the_machine_is_told_as_it_is() {
    let world = World::start().await;
    let machine = read(&world, "/api/payments/state-machine").await;
    let states = machine["states"].as_array().unwrap();
    assert_eq!(states.len(), State::ALL.len());
    assert_eq!(
        states[2],
        json!({"state": "CAPTURED", "rank": 2, "live": false})
    );
    let transitions = machine["transitions"].as_array().unwrap();
    let leads = |from: &str, event: &str| {
        transitions
            .iter()
            .find(|it| it["from"] == from && it["event"] == event)
            .map(|it| (it["to"].clone(), it["implied"].clone()))
    };
    assert_eq!(
        leads("PENDING", "captured"),
        Some((json!("CAPTURED"), json!(["AUTHORIZED"])))
    );
    assert_eq!(
        leads("EXPIRED", "late_captured"),
        Some((json!("CAPTURED"), json!([])))
    );
    assert_eq!(
        leads("EXPIRED", "captured"),
        None,
        "a contradiction leads nowhere"
    );
    assert_eq!(leads("CAPTURED", "cancelled"), None);
    for state in State::ALL {
        let Step::To { state: to, .. } = apply(*state, Event::Settled) else {
            continue;
        };
        assert_eq!(leads(state.as_str(), "settled").unwrap().0, to.as_str());
    }
}

#[tokio::test]
async fn a_payment_tells_its_donor_how_it_came_to_stand_so_and_nobody_else() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    let event = gift.captured(&intent);
    world.verdict(&event).await;
    let path = format!("/api/payments/{}/transitions", gift.payment_id);
    let request = world.service.client.get(world.service.at(&path));
    let reply = request
        .header("x-guest-token", &gift.guest_token)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    let steps: Value = reply.json().await.unwrap();
    let steps = steps["data"].as_array().unwrap();
    let told: Vec<_> = steps
        .iter()
        .map(|it| (&it["from"], &it["to"], &it["implied"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("PENDING"), &json!("AUTHORIZED"), &json!(true)),
            (&json!("AUTHORIZED"), &json!("CAPTURED"), &json!(false)),
        ]
    );
    assert_eq!(steps[1]["cause"], "payment_intent.succeeded");
    assert_eq!(steps[1]["provider_event"], event["id"]);
    assert_eq!(steps[1]["trace_id"].as_str().unwrap().len(), 32);
    let other = world.gift();
    let request = world.service.client.get(world.service.at(&path));
    let refused = request
        .header("x-guest-token", &other.guest_token)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    assert_eq!(problem_code(refused).await, "not_found");
    let admin = world.admin(Method::GET, &path, &Value::Null).await;
    assert_eq!(admin.status(), StatusCode::OK);
}

#[tokio::test]
async fn admins_list_payments_page_by_page_by_state_and_those_that_are_stuck() {
    let world = World::start().await;
    let (paid, stuck, other) = (
        world.gift(),
        world.gift_of(2500, Capture::Manual, None),
        world.gift(),
    );
    let intent = world.open(&paid).await.intent;
    world.verdict(&paid.captured(&intent)).await;
    world.open(&stuck).await;
    world.open(&other).await;
    sqlx::query(
        "update payments set retry_at = now() + interval '1 hour', updated_at = now() - interval '6 minutes'
         where payment_id = $1",
    )
    .bind(stuck.payment_id.get())
    .execute(&world.pool)
    .await
    .unwrap();
    let list = async |query: &str| {
        let path = format!("/api/admin/payments?{query}");
        let reply = world.admin(Method::GET, &path, &Value::Null).await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json::<Value>().await.unwrap()
    };
    let ids = |page: &Value| -> Vec<String> {
        let data = page["data"].as_array().unwrap().iter();
        data.map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut all = [&paid, &stuck, &other].map(|gift| gift.payment_id.to_string());
    all.sort();
    let first = list("limit=2").await;
    assert_eq!(ids(&first), all[..2]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = list(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!(
        (ids(&second), &second["next_cursor"]),
        (all[2..].to_vec(), &Value::Null)
    );
    assert_eq!(
        ids(&list("state=CAPTURED").await),
        [paid.payment_id.to_string()]
    );
    assert_eq!(
        ids(&list("stuck=true").await),
        [stuck.payment_id.to_string()]
    );
    assert!(ids(&list("stuck=true&state=CAPTURED").await).is_empty());
    for (query, code) in [("limit=0", "invalid_limit"), ("cursor=x", "invalid_cursor")] {
        let path = format!("/api/admin/payments?{query}");
        let refused = world.admin(Method::GET, &path, &Value::Null).await;
        assert_eq!(problem_code(refused).await, code);
    }
}
