use chrono::TimeDelta;
use psp_sim::{Config, Rules};
use serde_json::json;

use crate::helpers::{Sim, config};

#[tokio::test]
async fn a_merchant_who_asks_too_often_is_told_so_and_nothing_happens() {
    let rules = Rules {
        requests_per_second: 2,
        ..config().rules
    };
    let sim = Sim::with(Config { rules, ..config() }).await;
    let form = [("amount", "2500"), ("currency", "usd")];
    let path = "/v1/payment_intents";
    let first = sim.post(path, &form).await.ok();
    sim.get(path).await.ok();
    let refused = sim.post_with_key("pay:1", path, &form).await;
    assert_eq!(refused.headers["stripe-should-retry"], "false");
    assert!(refused.headers.contains_key("request-id"));
    let error = refused.refusal(429);
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("invalid_request_error"), &json!("rate_limit"))
    );
    sim.confirm(&first, "pm_card_visa").await.ok();

    sim.config.clock.advance(TimeDelta::milliseconds(500));
    let again = sim.post_with_key("pay:1", path, &form).await;
    assert!(!again.replayed(), "a 429 is not kept under its key");
    again.ok();
    sim.get(path).await.refusal(429);
}

#[tokio::test]
async fn the_rate_can_be_set_while_it_runs() {
    let sim = Sim::start().await;
    let set = sim.sim("rate", &json!({ "per_second": 1 })).await.ok();
    assert_eq!(set, json!({ "per_second": 1 }));
    sim.get("/v1/events").await.ok();
    sim.get("/v1/events").await.refusal(429);
    sim.sim("rate", &json!({ "per_second": 0 })).await.ok();
    sim.get("/v1/events").await.ok();
    assert_eq!(sim.get("/_sim/rate").await.ok()["per_second"], 0);
    sim.sim("rate", &json!({ "per_second": -1 }))
        .await
        .refusal(400);
}
