use std::collections::HashMap;

use serde_json::{Value, json};

use crate::helpers::{Receiver, Sim};

/// Pays six intents under these faults and tells what arrived, as types, intent by intent.
async fn arrivals(faults: &Value) -> Vec<Vec<String>> {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    sim.sim("faults", faults).await.ok();
    let mut arrivals = Vec::new();
    for _ in 0..6 {
        let intent = sim.intent("automatic").await;
        sim.confirm(&intent, "pm_card_visa").await.ok();
        sim.until_idle().await;
        let mut kinds = Vec::new();
        // An unfaulty event of another intent comes last and closes the list.
        sim.send(sim.client.delete(format!("{}/_sim/faults", sim.url)))
            .await
            .ok();
        let last = sim.intent("automatic").await;
        loop {
            let event = receiver.next().await.event();
            if event["data"]["object"]["id"] == last["id"] {
                break;
            }
            kinds.push(event["type"].as_str().expect("a type").to_owned());
        }
        arrivals.push(kinds);
        let seeded = arrivals.len() as u64;
        let mut next = faults.clone();
        next["seed"] = json!(faults["seed"].as_u64().expect("a seed") + seeded);
        sim.sim("faults", &next).await.ok();
    }
    arrivals
}

#[tokio::test]
async fn the_same_seed_gives_the_same_disorder() {
    let faults = json!({ "seed": 42, "reorder": 0.5 });
    let first = arrivals(&faults).await;
    let in_order = [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ];
    assert!(
        first.iter().any(|kinds| *kinds != in_order),
        "something came out of order"
    );
    assert!(
        first.iter().all(|kinds| kinds.len() == 3),
        "nothing was lost or doubled"
    );
    assert_eq!(first, arrivals(&faults).await);
    assert_ne!(first, arrivals(&json!({ "seed": 7, "reorder": 0.5 })).await);
}

#[tokio::test]
async fn duplicates_carry_the_same_id() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    sim.sim("faults", &json!({ "duplicate": 1.0 })).await.ok();
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let mut copies = HashMap::<String, u32>::new();
    for _ in 0..6 {
        *copies.entry(receiver.next().await.id()).or_default() += 1;
    }
    assert_eq!(copies.len(), 3);
    assert!(copies.values().all(|copies| *copies == 2));
}

#[tokio::test]
async fn delayed_events_all_arrive() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let faults = json!({ "seed": 3, "delay": { "probability": 1.0, "max_ms": 50 } });
    sim.sim("faults", &faults).await.ok();
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let mut kinds = receiver.kinds(3).await;
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "charge.succeeded",
            "payment_intent.created",
            "payment_intent.succeeded"
        ]
    );
    sim.until_idle().await;
}

#[tokio::test]
async fn a_lone_reordered_event_is_not_held_for_ever() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    sim.sim("faults", &json!({ "reorder": 1.0 })).await.ok();
    sim.intent("automatic").await;
    assert_eq!(receiver.next().await.kind(), "payment_intent.created");
}

#[tokio::test]
async fn faults_can_be_read_and_cleared() {
    let sim = Sim::start().await;
    let faults = json!({ "seed": 42, "duplicate": 0.3, "reorder": 0.3, "delay": { "probability": 0.5, "max_ms": 300 } });
    assert_eq!(sim.sim("faults", &faults).await.ok()["faults"], faults);
    assert_eq!(sim.get("/_sim/faults").await.ok()["faults"], faults);
    let cleared = sim
        .send(sim.client.delete(format!("{}/_sim/faults", sim.url)))
        .await
        .ok();
    assert_eq!(cleared["faults"], json!(null));
}

#[tokio::test]
async fn unknown_and_impossible_faults_are_refused_by_name() {
    let sim = Sim::start().await;
    let error = sim
        .sim("faults", &json!({ "lose": 0.1 }))
        .await
        .refusal(400);
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.contains("`lose`")),
        "{error}"
    );
    sim.sim("faults", &json!({ "duplicate": 1.5 }))
        .await
        .refusal(400);
    sim.sim("faults", &json!({ "delay": 5 })).await.refusal(400);
    let chance = json!({ "probability": -0.1, "count": 1 });
    sim.sim("faults", &json!({ "drop": chance }))
        .await
        .refusal(400);
    assert_eq!(sim.get("/_sim/faults").await.ok()["faults"], json!(null));
}
