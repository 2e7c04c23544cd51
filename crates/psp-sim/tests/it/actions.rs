use futures::future::join_all;
use serde_json::{Value, json};

use crate::helpers::{Answer, Receiver, Sim, text};

const RETURN_URL: &str = "https://care.example/done?a=1&b=2";

/// An intent that waits until its payer has proved who they are.
async fn waiting(sim: &Sim, token: &str) -> Value {
    let intent = sim.intent("automatic").await;
    let form = [
        ("client_secret", text(&intent["client_secret"])),
        ("payment_method", token),
        ("return_url", RETURN_URL),
    ];
    let path = format!("/v1/payment_intents/{}/confirm", text(&intent["id"]));
    let waiting = sim.send(sim.request(&path, &form)).await.ok();
    assert_eq!(waiting["status"], "requires_action");
    waiting
}

/// What the intent sends its payer to, on this machine.
fn page(waiting: &Value) -> &str {
    let redirect = &waiting["next_action"]["redirect_to_url"];
    assert_eq!(redirect["return_url"], RETURN_URL);
    text(&redirect["url"])
}

async fn click(sim: &Sim, waiting: &Value, action: &str) -> Answer {
    let form = [
        ("client_secret", text(&waiting["client_secret"])),
        ("action", action),
    ];
    let path = format!("/authenticate/{}", text(&waiting["id"]));
    sim.send(sim.request(&path, &form)).await
}

#[tokio::test]
async fn a_payer_who_proves_who_they_are_has_paid() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    for token in [
        "pm_card_authenticationRequired",
        "pm_card_threeDSecure2Required",
    ] {
        let waiting = waiting(&sim, token).await;
        let shown = sim.send(sim.client.get(page(&waiting))).await;
        assert_eq!(shown.status, 200);
        assert!(shown.text.contains("25.00 USD"), "{}", shown.text);
        assert!(
            shown.text.contains("value=\"authenticate\"") && shown.text.contains("value=\"fail\"")
        );
        assert_eq!(shown.headers["referrer-policy"], "no-referrer");
        let done = click(&sim, &waiting, "authenticate").await;
        assert!(done.text.contains("Thank you"), "{}", done.text);
        assert!(
            done.text
                .contains("href=\"https://care.example/done?a=1&amp;b=2\"")
        );
        let paid = sim.reload(&waiting).await;
        assert_eq!(paid["status"], "succeeded");
        assert_eq!(paid["next_action"], json!(null));
        assert_eq!(
            receiver.kinds(4).await,
            [
                "payment_intent.created",
                "payment_intent.requires_action",
                "charge.succeeded",
                "payment_intent.succeeded",
            ]
        );
    }
    assert_eq!(sim.charges().await.len(), 2);
}

#[tokio::test]
async fn a_payer_who_fails_is_not_charged_and_can_try_another_card() {
    let mut receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    let waiting = waiting(&sim, "pm_card_threeDSecure2Required").await;
    let failed = click(&sim, &waiting, "fail").await;
    assert!(failed.text.contains("You were not charged"));
    let intent = sim.reload(&waiting).await;
    assert_eq!(intent["status"], "requires_payment_method");
    let error = &intent["last_payment_error"];
    assert_eq!(error["code"], "payment_intent_authentication_failure");
    assert!(
        error.get("charge").is_none(),
        "the bank was never asked: {error}"
    );
    assert!(sim.charges().await.is_empty());
    assert_eq!(
        receiver.kinds(3).await,
        [
            "payment_intent.created",
            "payment_intent.requires_action",
            "payment_intent.payment_failed",
        ]
    );
    let paid = sim.confirm(&intent, "pm_card_visa").await.ok();
    assert_eq!(paid["status"], "succeeded");
}

#[tokio::test]
async fn proof_does_not_help_a_card_without_funds() {
    let sim = Sim::start().await;
    let token = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds";
    let waiting = waiting(&sim, token).await;
    click(&sim, &waiting, "authenticate").await;
    let intent = sim.reload(&waiting).await;
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(
        intent["last_payment_error"]["decline_code"],
        "insufficient_funds"
    );
}

#[tokio::test]
async fn ten_clicks_on_authenticate_charge_once() {
    let sim = Sim::start().await;
    let waiting = waiting(&sim, "pm_card_authenticationRequired").await;
    let pages = join_all((0..10).map(|_| click(&sim, &waiting, "authenticate"))).await;
    assert!(pages.iter().all(|page| page.text.contains("Thank you")));
    assert_eq!(sim.charges().await.len(), 1);
}

#[tokio::test]
async fn an_intent_that_was_canceled_meanwhile_cannot_be_paid_by_proof() {
    let sim = Sim::start().await;
    let waiting = waiting(&sim, "pm_card_authenticationRequired").await;
    sim.act(&waiting, "cancel", &[]).await.ok();
    let late = click(&sim, &waiting, "authenticate").await;
    assert!(
        late.text.contains("Nothing to do") && !late.text.contains("<form"),
        "{}",
        late.text
    );
    assert!(sim.charges().await.is_empty());
}

#[tokio::test]
async fn a_wrong_secret_or_choice_proves_nothing() {
    let sim = Sim::start().await;
    let mut waiting = waiting(&sim, "pm_card_authenticationRequired").await;
    assert_eq!(click(&sim, &waiting, "shrug").await.status, 400);
    let url = format!(
        "{}?client_secret=wrong",
        page(&waiting).split('?').next().expect("a path")
    );
    assert_eq!(sim.send(sim.client.get(url)).await.status, 404);
    waiting["client_secret"] = "wrong".into();
    assert_eq!(click(&sim, &waiting, "authenticate").await.status, 404);
    assert_eq!(sim.reload(&waiting).await["status"], "requires_action");
}
