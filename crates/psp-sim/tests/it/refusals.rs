use serde_json::json;

use crate::helpers::{Sim, text};

/// Parameters, the one that is wrong, and the error code.
type Row = (
    &'static [(&'static str, &'static str)],
    &'static str,
    Option<&'static str>,
);

#[tokio::test]
async fn a_missing_or_wrong_key_is_401() {
    let sim = Sim::start().await;
    let url = format!("{}/v1/payment_intents", sim.url);
    for request in [
        sim.client.get(&url),
        sim.client.get(&url).bearer_auth("sk_test_wrong"),
        sim.client.get(&url).bearer_auth("pk_test_any"),
        sim.client.post(&url).form(&[("client_secret", "any")]),
    ] {
        let answer = sim.send(request).await;
        assert!(answer.headers.contains_key("request-id"));
        assert_eq!(answer.refusal(401)["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn an_unknown_object_is_404_in_stripes_shape() {
    let sim = Sim::start().await;
    let error = sim.get("/v1/payment_intents/pi_unknown").await.refusal(404);
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!(error["code"], "resource_missing");
    assert_eq!(error["param"], "intent");
    assert_eq!(error["message"], "No such payment_intent: 'pi_unknown'");
    for path in [
        "charges/ch_no",
        "balance_transactions/txn_no",
        "events/evt_no",
    ] {
        let error = sim.get(&format!("/v1/{path}")).await.refusal(404);
        assert_eq!(error["code"], "resource_missing");
    }
    let error = sim.get("/v1/unheard_of").await.refusal(404);
    assert_eq!(error["type"], "invalid_request_error");
    sim.send(sim.client.delete(format!("{}/v1/payment_intents", sim.url)))
        .await
        .refusal(404);
}

#[tokio::test]
async fn a_browser_needs_the_intents_own_client_secret() {
    let sim = Sim::start().await;
    let (one, other) = (sim.intent("automatic").await, sim.intent("automatic").await);
    let path = format!("/v1/payment_intents/{}/confirm", text(&one["id"]));
    let form = [
        ("client_secret", text(&other["client_secret"])),
        ("payment_method", "pm_card_visa"),
    ];
    let error = sim.send(sim.request(&path, &form)).await.refusal(400);
    assert_eq!(error["param"], "client_secret");
    assert!(sim.charges().await.is_empty());

    let secret = text(&one["client_secret"]);
    let url = format!(
        "{}/v1/payment_intents/{}?client_secret={secret}",
        sim.url,
        text(&one["id"])
    );
    let seen = sim
        .send(sim.client.get(url).bearer_auth("pk_test_any"))
        .await
        .ok();
    assert_eq!(seen["id"], one["id"]);
    assert!(seen.get("metadata").is_none());
    let capture = format!("/v1/payment_intents/{}/capture", text(&one["id"]));
    sim.send(sim.request(&capture, &[("client_secret", secret)]))
        .await
        .refusal(401);
}

#[tokio::test]
async fn wrong_parameters_are_400_with_their_name() {
    let sim = Sim::start().await;
    let table: [Row; 12] = [
        (&[("currency", "usd")], "amount", Some("parameter_missing")),
        (&[("amount", "2500")], "currency", Some("parameter_missing")),
        (
            &[("amount", "25.5"), ("currency", "usd")],
            "amount",
            Some("parameter_invalid_integer"),
        ),
        (
            &[("amount", "0"), ("currency", "usd")],
            "amount",
            Some("parameter_invalid_integer"),
        ),
        (
            &[("amount", "49"), ("currency", "usd")],
            "amount",
            Some("amount_too_small"),
        ),
        (
            &[("amount", "100000000"), ("currency", "usd")],
            "amount",
            Some("amount_too_large"),
        ),
        (
            &[("amount", "9223372036854775808"), ("currency", "usd")],
            "amount",
            Some("parameter_invalid_integer"),
        ),
        (
            &[("amount", "2500"), ("currency", "dollars")],
            "currency",
            None,
        ),
        (
            &[
                ("amount", "2500"),
                ("currency", "usd"),
                ("capture_method", "late"),
            ],
            "capture_method",
            None,
        ),
        (
            &[("amount", "2500"), ("currency", "usd"), ("confirm", "true")],
            "confirm",
            Some("parameter_unknown"),
        ),
        (
            &[
                ("amount", "2500"),
                ("currency", "usd"),
                ("expand[]", "customer"),
            ],
            "expand",
            None,
        ),
        (
            &[
                ("amount", "2500"),
                ("currency", "usd"),
                ("payment_method_types[]", "ideal"),
            ],
            "payment_method_types",
            None,
        ),
    ];
    for (form, param, code) in table {
        let error = sim.post("/v1/payment_intents", form).await.refusal(400);
        assert_eq!(error["param"], param, "{form:?}");
        assert_eq!(
            error.get("code").and_then(|code| code.as_str()),
            code,
            "{form:?}"
        );
        assert_eq!(error["type"], "invalid_request_error");
    }
    assert_eq!(sim.get("/v1/payment_intents").await.ok()["data"], json!([]));
}

#[tokio::test]
async fn json_bodies_are_refused_as_stripe_refuses_them() {
    let sim = Sim::start().await;
    let request = sim
        .client
        .post(format!("{}/v1/payment_intents", sim.url))
        .bearer_auth("any");
    let request = request
        .header("content-type", "application/json")
        .body("{}");
    let error = sim.send(request).await.refusal(400);
    assert!(text(&error["message"]).contains("application/x-www-form-urlencoded"));
}
