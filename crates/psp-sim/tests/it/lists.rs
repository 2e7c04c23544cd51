use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::Value;

use crate::helpers::{Sim, text};

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().expect("a list");
    data.iter()
        .map(|item| text(&item["id"]).to_owned())
        .collect()
}

#[tokio::test]
async fn pages_hold_every_intent_once_newest_first() {
    let sim = Sim::start().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(text(&sim.intent("automatic").await["id"]).to_owned());
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let list = sim
            .get(&format!("/v1/payment_intents?limit=3{cursor}"))
            .await
            .ok();
        seen.extend(ids(&list));
        if list["has_more"] == false {
            break;
        }
        cursor = format!(
            "&starting_after={}",
            seen.last().expect("a page is not empty")
        );
    }
    assert_eq!(seen, made);
    let path = format!("/v1/payment_intents?limit=2&ending_before={}", made[4]);
    assert_eq!(ids(&sim.get(&path).await.ok()), made[2..4]);
    sim.get("/v1/payment_intents?limit=0").await.refusal(400);
    sim.get("/v1/payment_intents?starting_after=pi_unknown")
        .await
        .refusal(404);
}

#[tokio::test]
async fn lists_can_be_cut_by_time() {
    let sim = Sim::start().await;
    let early = sim.intent("automatic").await;
    sim.config.clock.advance(TimeDelta::seconds(10));
    let late = sim.intent("automatic").await;
    let created = late["created"].as_i64().expect("a time");
    let since = sim
        .get(&format!("/v1/payment_intents?created[gte]={created}"))
        .await
        .ok();
    assert_eq!(ids(&since), [text(&late["id"])]);
    let before = sim
        .get(&format!("/v1/payment_intents?created[lt]={created}"))
        .await
        .ok();
    assert_eq!(ids(&before), [text(&early["id"])]);
    let events = sim
        .get(&format!("/v1/events?created[gte]={created}"))
        .await
        .ok();
    assert_eq!(events["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn events_can_be_listed_by_type_and_read_one_by_one() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let all = sim.get("/v1/events").await.ok();
    let kinds: BTreeSet<_> = all["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| text(&it["type"]))
        .collect();
    assert_eq!(kinds.len(), 3);
    let succeeded = sim
        .get("/v1/events?type=payment_intent.succeeded")
        .await
        .ok();
    let event = &succeeded["data"][0];
    assert_eq!(event["data"]["object"]["id"], intent["id"]);
    assert_eq!(
        &sim.get(&format!("/v1/events/{}", text(&event["id"])))
            .await
            .ok(),
        event
    );
    let two = "/v1/events?types[]=payment_intent.created&types[]=charge.succeeded";
    assert_eq!(
        sim.get(two).await.ok()["data"].as_array().map(Vec::len),
        Some(2)
    );
}

#[tokio::test]
async fn events_can_be_read_for_thirty_days() {
    let sim = Sim::start().await;
    let early = sim.intent("automatic").await;
    let id = text(&sim.get("/v1/events").await.ok()["data"][0]["id"]).to_owned();
    sim.config.clock.advance(TimeDelta::days(30));
    let late = sim.intent("automatic").await;
    let both = sim.get("/v1/events").await.ok();
    assert_eq!(ids(&both).len(), 2);
    sim.config.clock.advance(TimeDelta::seconds(1));
    let events = sim.get("/v1/events").await.ok();
    assert_eq!(events["data"][0]["data"]["object"]["id"], late["id"]);
    assert_eq!(ids(&events).len(), 1);
    sim.get(&format!("/v1/events/{id}")).await.refusal(404);
    assert_eq!(sim.reload(&early).await["id"], early["id"]);
}

#[tokio::test]
async fn events_are_paged_both_ways() {
    let sim = Sim::start().await;
    for _ in 0..2 {
        sim.paid("pm_card_visa").await;
    }
    let all = ids(&sim.get("/v1/events?limit=100").await.ok());
    assert_eq!(all.len(), 6);
    let after = format!("/v1/events?limit=2&starting_after={}", all[1]);
    let after = sim.get(&after).await.ok();
    assert_eq!(
        (ids(&after), &after["has_more"]),
        (all[2..4].to_vec(), &true.into())
    );
    let before = format!("/v1/events?limit=2&ending_before={}", all[2]);
    let before = sim.get(&before).await.ok();
    assert_eq!(
        (ids(&before), &before["has_more"]),
        (all[..2].to_vec(), &false.into())
    );
}

#[tokio::test]
async fn charges_are_listed_by_their_intent() {
    let sim = Sim::start().await;
    let (one, other) = (sim.intent("automatic").await, sim.intent("automatic").await);
    sim.confirm(&one, "pm_card_chargeDeclined")
        .await
        .refusal(402);
    sim.confirm(&one, "pm_card_visa").await.ok();
    sim.confirm(&other, "pm_card_visa").await.ok();
    let list = sim
        .get(&format!("/v1/charges?payment_intent={}", text(&one["id"])))
        .await
        .ok();
    let statuses: Vec<_> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|charge| text(&charge["status"]))
        .collect();
    assert_eq!(statuses, ["succeeded", "failed"]);
}
