use std::time::Duration;

use serde_json::{Value, json};

use crate::helpers::{Receiver, SECRET_KEY, Sim, text};

async fn set(sim: &Sim, faults: Value) {
    sim.sim("faults", &faults).await.ok();
}

/// The types of an intent's events that can be listed.
async fn listed(sim: &Sim) -> Vec<String> {
    let list = sim.get("/v1/events?limit=100").await.ok();
    let data = list["data"].as_array().expect("a list");
    data.iter().map(|it| text(&it["type"]).to_owned()).collect()
}

#[tokio::test]
async fn a_dropped_event_never_arrives_and_can_be_listed() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let only = ["payment_intent.succeeded"];
    let drop = json!({ "probability": 1.0, "only": only });
    set(&sim, json!({ "drop": drop })).await;
    let (intent, _) = sim.paid("pm_card_visa").await;
    let kinds = receiver.kinds(2).await;
    assert_eq!(kinds, ["payment_intent.created", "charge.succeeded"]);
    sim.until_idle().await;
    assert!(listed(&sim).await.contains(&only[0].to_owned()));
    let sim = sim.restart().await;
    sim.until_idle().await;
    let later = sim.intent("automatic").await;
    let next = receiver.next().await.event();
    assert_eq!(next["data"]["object"]["id"], later["id"], "not even later");
    let deliveries = sim
        .get(&format!(
            "/_sim/events?payment_intent={}",
            text(&intent["id"])
        ))
        .await
        .ok();
    assert_eq!(deliveries["data"][2]["dropped"], true);
}

#[tokio::test]
async fn an_event_that_was_never_generated_is_not_in_the_list_either() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let never = json!({ "probability": 1.0, "count": 1, "only": ["payment_intent.succeeded"] });
    set(&sim, json!({ "never_generated": never })).await;
    let (intent, _) = sim.paid("pm_card_visa").await;
    assert_eq!(intent["status"], "succeeded", "the money was taken");
    sim.until_idle().await;
    assert_eq!(
        listed(&sim).await,
        ["charge.succeeded", "payment_intent.created"]
    );
    sim.paid("pm_card_visa").await;
    assert_eq!(receiver.kinds(5).await[4], "payment_intent.succeeded");
}

#[tokio::test]
async fn a_forged_event_has_a_signature_that_does_not_verify() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    set(&sim, json!({ "forge": 1.0 })).await;
    let intent = sim.intent("automatic").await;
    let (one, other) = (receiver.next().await, receiver.next().await);
    let (forged, real): (Vec<_>, Vec<_>) = [one, other]
        .into_iter()
        .partition(|delivery| !delivery.is_genuine());
    assert_eq!((forged.len(), real.len()), (1, 1));
    assert_eq!(real[0].event()["data"]["object"], intent);
    assert_ne!(forged[0].id(), real[0].id());
    sim.until_idle().await;
    assert_eq!(listed(&sim).await.len(), 1, "it is no event of ours");
}

#[tokio::test]
async fn a_stray_event_is_well_signed_and_about_an_unknown_intent() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    set(&sim, json!({ "stray": { "probability": 1.0, "count": 1 } })).await;
    let intent = sim.intent("automatic").await;
    let mut strays = Vec::new();
    for _ in 0..2 {
        let delivery = receiver.next().await;
        assert!(delivery.is_genuine());
        let object = delivery.event()["data"]["object"].clone();
        if object["id"] != intent["id"] {
            strays.push(object);
        }
    }
    assert_eq!(strays.len(), 1);
    let path = format!("/v1/payment_intents/{}", text(&strays[0]["id"]));
    sim.get(&path).await.refusal(404);
}

#[tokio::test]
async fn a_call_that_is_never_answered_has_had_its_effect_once() {
    let sim = Sim::start().await;
    let fault = json!({ "probability": 1.0, "count": 1, "only": ["/v1/payment_intents"] });
    set(&sim, json!({ "timeout_after": fault })).await;
    let form = [("amount", "2500"), ("currency", "usd")];
    let call = sim
        .request("/v1/payment_intents", &form)
        .bearer_auth(SECRET_KEY)
        .header("idempotency-key", "pay:1")
        .timeout(Duration::from_millis(300));
    let error = call.send().await.expect_err("no answer");
    assert!(error.is_timeout(), "{error}");
    let again = sim
        .post_with_key("pay:1", "/v1/payment_intents", &form)
        .await;
    assert!(again.replayed());
    let list = sim.get("/v1/payment_intents").await.ok();
    assert_eq!(list["data"], json!([again.json()]));
}

#[tokio::test]
async fn a_call_that_acted_and_said_500_says_so_for_good_under_its_key() {
    let sim = Sim::start().await;
    let fault = json!({ "probability": 1.0, "count": 1, "only": ["/v1/refunds"] });
    set(&sim, json!({ "error_after": fault })).await;
    let (intent, _) = sim.paid("pm_card_visa").await;
    let form = [("payment_intent", text(&intent["id"])), ("amount", "500")];
    let first = sim.post_with_key("refund:1", "/v1/refunds", &form).await;
    assert_eq!(first.clone().refusal(500)["type"], "api_error");
    let sim = sim.restart().await;
    let again = sim.post_with_key("refund:1", "/v1/refunds", &form).await;
    assert_eq!((again.status, again.replayed()), (500, true));
    assert_eq!(first.text, again.text);
    let path = format!("/v1/refunds?payment_intent={}", text(&intent["id"]));
    let list = sim.get(&path).await.ok();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "it acted");
}

#[tokio::test]
async fn mishaps_befall_the_merchant_and_not_the_payer() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    set(&sim, json!({ "error_after": 1.0 })).await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let refund = [("payment_intent", text(&intent["id"]))];
    sim.post("/v1/refunds", &refund).await.refusal(500);
    sim.post("/v1/refunds", &refund).await.refusal(400);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_mishaps() {
    let mut rounds = Vec::new();
    for seed in [5, 5, 6] {
        let sim = Sim::start().await;
        set(&sim, json!({ "seed": seed, "error_after": 0.5 })).await;
        let form = [("amount", "2500"), ("currency", "usd")];
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(sim.post("/v1/payment_intents", &form).await.status);
        }
        assert!(statuses.contains(&200) && statuses.contains(&500));
        rounds.push(statuses);
    }
    assert_eq!(rounds[0], rounds[1]);
    assert_ne!(rounds[0], rounds[2]);
}

#[tokio::test]
async fn a_count_and_a_choice_can_be_read_back() {
    let sim = Sim::start().await;
    let faults = json!({
        "seed": 1, "duplicate": 0.0, "reorder": { "probability": 0.5, "count": 2 },
        "delay": { "probability": 0.0, "max_ms": 0, "count": 1 },
        "drop": { "probability": 1.0, "count": 3, "only": ["charge.updated"] }, "stray": 0.25,
    });
    assert_eq!(sim.sim("faults", &faults).await.ok()["faults"], faults);
}
