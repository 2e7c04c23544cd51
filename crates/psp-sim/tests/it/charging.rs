use futures::future::join_all;
use serde_json::json;

use crate::helpers::{Sim, text};

#[tokio::test]
async fn an_automatic_intent_is_charged_at_once() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["metadata"]["payment_id"], "pay-1");
    assert_eq!(intent["latest_charge"], json!(null));

    let public = sim.confirm(&intent, "pm_card_visa").await.ok();
    assert_eq!(public["status"], "succeeded");
    assert!(
        public.get("metadata").is_none(),
        "a browser does not see the merchant's data"
    );
    assert!(public.get("latest_charge").is_none());

    let paid = sim.reload(&intent).await;
    assert_eq!(
        (&paid["amount_received"], &paid["amount_capturable"]),
        (&json!(2500), &json!(0))
    );
    let charge = sim
        .get(&format!("/v1/charges/{}", text(&paid["latest_charge"])))
        .await
        .ok();
    assert_eq!(charge["captured"], true);
    assert_eq!(charge["status"], "succeeded");
    assert_eq!(charge["amount_captured"], 2500);
    assert_eq!(charge["payment_intent"], intent["id"]);
    let second = intent["created"].as_i64().unwrap();
    assert!(
        text(&intent["id"]).starts_with(&format!("pi_3{second:08x}")),
        "ids made later sort later"
    );
    assert_eq!(charge["metadata"], json!({ "payment_id": "pay-1" }));
    assert_eq!(sim.ledger().await["totals"]["usd"]["captured"], 2500);
}

#[tokio::test]
async fn a_decline_and_then_success_on_one_intent_is_one_charge() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;

    let error = sim
        .confirm(&intent, "pm_card_chargeDeclinedInsufficientFunds")
        .await
        .refusal(402);
    assert_eq!(error["type"], "card_error");
    assert_eq!(error["code"], "card_declined");
    assert_eq!(error["decline_code"], "insufficient_funds");
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    let declined = sim.reload(&intent).await;
    assert_eq!(declined["last_payment_error"]["charge"], error["charge"]);
    assert_eq!(declined["payment_method"], json!(null));
    assert!(
        sim.charges().await.is_empty(),
        "a failed charge took nothing"
    );

    let paid = sim.confirm(&intent, "pm_card_visa").await.ok();
    assert_eq!(paid["status"], "succeeded");
    assert_eq!(paid["last_payment_error"], json!(null));
    assert_eq!(sim.charges().await.len(), 1);
}

#[tokio::test]
async fn each_test_token_declines_as_stripe_says() {
    let sim = Sim::start().await;
    let table = [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        (
            "pm_card_visa_chargeDeclined",
            "card_declined",
            "generic_decline",
        ),
        (
            "pm_card_visa_chargeDeclinedLostCard",
            "card_declined",
            "lost_card",
        ),
        (
            "pm_card_chargeDeclinedExpiredCard",
            "expired_card",
            "expired_card",
        ),
        (
            "pm_card_chargeDeclinedIncorrectCvc",
            "incorrect_cvc",
            "incorrect_cvc",
        ),
        (
            "pm_card_chargeDeclinedProcessingError",
            "processing_error",
            "processing_error",
        ),
    ];
    let intent = sim.intent("automatic").await;
    for (token, code, decline_code) in table {
        let error = sim.confirm(&intent, token).await.refusal(402);
        assert_eq!(
            (&error["code"], &error["decline_code"]),
            (&json!(code), &json!(decline_code))
        );
    }
    let error = sim
        .confirm(&intent, "pm_card_unheard_of")
        .await
        .refusal(400);
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("resource_missing"), &json!("payment_method"))
    );
}

#[tokio::test]
async fn twenty_simultaneous_confirms_are_one_charge() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    let answers = join_all((0..20).map(|_| sim.confirm(&intent, "pm_card_visa"))).await;
    let (paid, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((paid.len(), refused.len()), (1, 19));
    for answer in refused {
        let error = answer.refusal(400);
        assert_eq!(error["code"], "payment_intent_unexpected_state");
        assert_eq!(error["payment_intent"]["status"], "succeeded");
    }
    assert_eq!(sim.charges().await.len(), 1);
}

#[tokio::test]
async fn a_manual_intent_is_held_and_captured_in_part() {
    let sim = Sim::start().await;
    let intent = sim.intent("manual").await;
    let held = sim.confirm(&intent, "pm_card_visa").await.ok();
    assert_eq!(held["status"], "requires_capture");
    assert_eq!(sim.reload(&intent).await["amount_capturable"], 2500);

    let error = sim
        .act(&intent, "capture", &[("amount_to_capture", "2501")])
        .await
        .refusal(400);
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("amount_too_large"), &json!("amount_to_capture"))
    );
    let captured = sim
        .act(&intent, "capture", &[("amount_to_capture", "1000")])
        .await
        .ok();
    assert_eq!(captured["status"], "succeeded");
    assert_eq!(captured["amount"], 2500);
    assert_eq!(
        (&captured["amount_received"], &captured["amount_capturable"]),
        (&json!(1000), &json!(0))
    );
    let charge = sim
        .get(&format!("/v1/charges/{}", text(&captured["latest_charge"])))
        .await
        .ok();
    assert_eq!(
        (&charge["amount_captured"], &charge["amount_refunded"]),
        (&json!(1000), &json!(0))
    );

    let again = sim.act(&intent, "capture", &[]).await.refusal(400);
    assert_eq!(again["code"], "payment_intent_unexpected_state");
    let totals = &sim.ledger().await["totals"]["usd"];
    assert_eq!(
        (&totals["authorized"], &totals["captured"]),
        (&json!(2500), &json!(1000))
    );
}

#[tokio::test]
async fn twenty_simultaneous_captures_take_the_money_once() {
    let sim = Sim::start().await;
    let intent = sim.intent("manual").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let answers = join_all((0..20).map(|_| sim.act(&intent, "capture", &[]))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1
    );
    assert_eq!(sim.ledger().await["totals"]["usd"]["captured"], 2500);
}

#[tokio::test]
async fn a_canceled_intent_can_never_be_charged() {
    let sim = Sim::start().await;
    for method in ["automatic", "manual"] {
        let intent = sim.intent(method).await;
        if method == "manual" {
            sim.confirm(&intent, "pm_card_visa").await.ok();
        }
        let reason = [("cancellation_reason", "abandoned")];
        let canceled = sim.act(&intent, "cancel", &reason).await.ok();
        assert_eq!(canceled["status"], "canceled");
        assert_eq!(canceled["cancellation_reason"], "abandoned");
        assert_eq!(canceled["amount_capturable"], 0);
        for answer in [
            sim.confirm(&intent, "pm_card_visa").await,
            sim.act(&intent, "capture", &[]).await,
            sim.act(&intent, "cancel", &[]).await,
        ] {
            let error = answer.refusal(400);
            assert_eq!(error["code"], "payment_intent_unexpected_state");
            assert_eq!(error["payment_intent"]["status"], "canceled");
        }
    }
    assert_eq!(sim.ledger().await["totals"]["usd"]["captured"], 0);
}

#[tokio::test]
async fn a_paid_intent_cannot_be_canceled() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    sim.confirm(&intent, "pm_card_visa").await.ok();
    let error = sim.act(&intent, "cancel", &[]).await.refusal(400);
    assert_eq!(error["code"], "payment_intent_unexpected_state");
    assert_eq!(error["payment_intent"]["status"], "succeeded");
}

#[tokio::test]
async fn authentication_holds_a_payment_up_and_does_not_lose_it() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    let waiting = sim
        .confirm(&intent, "pm_card_authenticationRequired")
        .await
        .ok();
    assert_eq!(waiting["status"], "requires_action");
    assert_eq!(waiting["next_action"]["type"], "redirect_to_url");
    assert!(sim.charges().await.is_empty());
    assert_eq!(
        sim.confirm(&intent, "pm_card_visa").await.ok()["status"],
        "succeeded"
    );
}

#[tokio::test]
async fn a_payment_that_is_being_processed_is_neither_confirmed_nor_canceled() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    let waiting = sim
        .confirm(&intent, "pm_usBankAccount_processing")
        .await
        .ok();
    assert_eq!(waiting["status"], "processing");
    sim.confirm(&intent, "pm_card_visa").await.refusal(400);
    sim.act(&intent, "cancel", &[]).await.refusal(400);
}
