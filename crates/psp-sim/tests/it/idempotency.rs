use futures::future::join_all;
use serde_json::json;

use crate::helpers::{Sim, config, text};

const FORM: [(&str, &str); 3] = [
    ("amount", "2500"),
    ("currency", "usd"),
    ("metadata[payment_id]", "7"),
];

#[tokio::test]
async fn the_same_key_replays_the_same_bytes() {
    let sim = Sim::start().await;
    let first = sim
        .post_with_key("pay:1", "/v1/payment_intents", &FORM)
        .await;
    let mut reversed = FORM;
    reversed.reverse();
    let second = sim
        .post_with_key("pay:1", "/v1/payment_intents", &reversed)
        .await;
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.text, second.text);
    assert!(!first.replayed() && second.replayed());
    let list = sim.get("/v1/payment_intents").await.ok();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_replay_is_the_first_answer_and_not_the_present_state() {
    let sim = Sim::start().await;
    let first = sim
        .post_with_key("pay:1", "/v1/payment_intents", &FORM)
        .await;
    sim.confirm(&first.json(), "pm_card_visa").await.ok();
    let second = sim
        .post_with_key("pay:1", "/v1/payment_intents", &FORM)
        .await;
    assert_eq!(second.ok()["status"], "requires_payment_method");
}

#[tokio::test]
async fn a_key_with_other_parameters_or_another_path_is_refused() {
    let sim = Sim::start().await;
    let intent = sim
        .post_with_key("pay:1", "/v1/payment_intents", &FORM)
        .await
        .ok();
    let other = [("amount", "2600"), ("currency", "usd")];
    let error = sim
        .post_with_key("pay:1", "/v1/payment_intents", &other)
        .await
        .refusal(400);
    assert_eq!(error["type"], "idempotency_error");
    let path = format!("/v1/payment_intents/{}/cancel", text(&intent["id"]));
    let error = sim.post_with_key("pay:1", &path, &[]).await.refusal(400);
    assert_eq!(error["type"], "idempotency_error");
    assert_eq!(
        sim.reload(&intent).await["status"],
        "requires_payment_method"
    );
}

#[tokio::test]
async fn declines_and_wrong_states_are_kept_under_their_key() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    let path = format!("/v1/payment_intents/{}/confirm", text(&intent["id"]));
    let form = [("payment_method", "pm_card_chargeDeclined")];
    let first = sim.post_with_key("confirm:1", &path, &form).await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let second = sim.post_with_key("confirm:1", &path, &form).await;
    assert_eq!((first.status, second.status), (402, 402));
    assert_eq!(first.text, second.text);

    let cancel = format!("/v1/payment_intents/{}/cancel", text(&intent["id"]));
    let first = sim.post_with_key("cancel:1", &cancel, &[]).await;
    let second = sim.post_with_key("cancel:1", &cancel, &[]).await;
    assert_eq!((first.status, second.status), (400, 400));
    assert_eq!(first.text, second.text);
    assert!(second.replayed());
}

#[tokio::test]
async fn a_refused_validation_leaves_the_key_free() {
    let sim = Sim::start().await;
    let wrong = [("amount", "-1"), ("currency", "usd")];
    sim.post_with_key("pay:1", "/v1/payment_intents", &wrong)
        .await
        .refusal(400);
    let answer = sim
        .post_with_key("pay:1", "/v1/payment_intents", &FORM)
        .await;
    assert!(!answer.replayed());
    answer.ok();
}

#[tokio::test]
async fn simultaneous_calls_under_one_key_make_one_intent() {
    let sim = Sim::start().await;
    let calls = (0..20).map(|_| sim.post_with_key("pay:1", "/v1/payment_intents", &FORM));
    let answers = join_all(calls).await;
    for answer in &answers {
        match answer.status {
            200 => {}
            409 => assert_eq!(answer.json()["error"]["code"], "idempotency_key_in_use"),
            other => panic!("unexpected status {other}: {}", answer.text),
        }
    }
    assert_eq!(
        sim.post_with_key("pay:1", "/v1/payment_intents", &FORM)
            .await
            .status,
        200
    );
    let list = sim.get("/v1/payment_intents").await.ok();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn answers_survive_a_restart_and_a_500_is_replayed_as_one() {
    let config = config();
    let body = r#"{"error":{"message":"An unknown error occurred.","type":"api_error"}}"#;
    let sim = Sim::with(config).await;
    let first = sim
        .post_with_key("pay:1", "/v1/payment_intents", &FORM)
        .await;
    sim.stop().await;

    // The first answer's line tells the fingerprint of the parameters; the same call once ended in a 500.
    let lines = std::fs::read_to_string(sim.ledger_file()).expect("the ledger");
    let line: serde_json::Value = lines
        .lines()
        .next()
        .and_then(|line| serde_json::from_str(line).ok())
        .expect("a line");
    let mut answer = line["fact"]["answer"].clone();
    answer["key"] = json!("pay:2");
    answer["status"] = json!(500);
    answer["body"] = json!(body);
    std::fs::write(
        sim.ledger_file(),
        format!("{lines}{}\n", json!({ "answer": answer })),
    )
    .expect("written");

    let sim = sim.restart().await;
    let replay = sim
        .post_with_key("pay:1", "/v1/payment_intents", &FORM)
        .await;
    assert_eq!((replay.status, &replay.text), (200, &first.text));
    let failure = sim
        .post_with_key("pay:2", "/v1/payment_intents", &FORM)
        .await;
    assert_eq!((failure.status, failure.text.as_str()), (500, body));
    assert!(failure.replayed());
}
