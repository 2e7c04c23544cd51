//! `/api/payments/{id}/refunds`

use common::{auth::Role, events::Capture, ids::UserId, money::Extras};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{problem_code, user_token};
use uuid::Uuid;

use crate::{
    bank::admin,
    world::{Plan, World},
};

async fn with_webhooks() -> World {
    World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await
}

#[tokio::test]
async fn a_refund_is_pending_with_its_row_and_counts_once_the_provider_made_it() {
    let world = with_webhooks().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let made = world.refunded(&paid, None).await;
    assert_eq!(made["status"], "PENDING");
    assert_eq!(made["cause"], "ADMIN");
    assert_eq!(made["amount"], json!({"amount": 2500, "currency": "USD"}));
    let refunds = world.until_refunds(&paid, &["SUCCEEDED"]).await;
    assert_eq!(refunds[0]["id"], made["id"]);
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
    let theirs = world.at_provider("refunds", &paid).await;
    assert_eq!(theirs.len(), 1);
    assert_eq!(theirs[0]["id"], refunds[0]["psp_refund"]);
    assert_eq!(theirs[0]["metadata"]["refund_id"], made["id"]);
    for account in ["psp_receivable", "campaign_payable"] {
        assert_eq!(world.balance(account).await, 0, "{account}");
    }
    let history = world.history(&paid.gift).await;
    let last = history.last().unwrap();
    assert_eq!((last.0.as_str(), last.1.as_str()), ("CAPTURED", "REFUNDED"));
}

#[tokio::test]
async fn two_equal_partial_refunds_are_two() {
    let world = with_webhooks().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    world.refunded(&paid, Some(1000)).await;
    world.refunded(&paid, Some(1000)).await;
    let refunds = world
        .until_refunds(&paid, &["SUCCEEDED", "SUCCEEDED"])
        .await;
    assert_ne!(refunds[0]["psp_refund"], refunds[1]["psp_refund"]);
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 2);
    world.until_amounts(&paid, "CAPTURED", 2000, 0).await;
    assert_eq!(world.balance("campaign_payable").await, -500);
    world.refunded(&paid, None).await;
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
}

#[tokio::test]
async fn no_more_is_promised_back_than_was_captured_however_many_ask_at_once() {
    let world = World::start().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let (one, other) = futures::join!(
        world.refund(&paid, Some(1500)),
        world.refund(&paid, Some(1500))
    );
    let mut statuses = [one.status().as_u16(), other.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let refused = world.refund(&paid, Some(1001)).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(problem_code(refused).await, "refund_exceeds_captured");
    world.until_amounts(&paid, "CAPTURED", 1500, 0).await;
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 1);
}

#[tokio::test]
async fn what_was_not_captured_cannot_be_refunded() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    let paid = crate::bank::Paid { gift, open };
    let refused = world.refund(&paid, None).await;
    assert_eq!(problem_code(refused).await, "refund_exceeds_captured");
    assert_eq!(world.refunds(&paid).await.len(), 0);
}

#[tokio::test]
async fn admins_and_the_campaigns_organiser_may_refund_and_for_others_there_is_nothing() {
    let world = World::start().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let (organiser, donor) = (UserId::new(), UserId::new());
    let campaign = paid.gift.ticket.campaign_id;
    let body = json!({"reason": "asked for it", "amount": {"amount": 100, "currency": "USD"}});
    let key = || Uuid::new_v4().to_string();
    let stranger = user_token(donor, Role::Donor);
    let refused = world.refund_as(&stranger, &paid, &key(), &body).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    world.campaign(campaign, organiser, "ACTIVE").await;
    let refused = world.refund_as(&stranger, &paid, &key(), &body).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    let organiser = user_token(organiser, Role::Donor);
    let made = world.refund_as(&organiser, &paid, &key(), &body).await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = made.json().await.unwrap();
    assert_eq!(made["cause"], "ORGANISER");
    let path = format!("/api/payments/{}/refunds", paid.gift.payment_id);
    let get = |token: Option<String>| {
        let request = world.service.client.get(world.service.at(&path));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
        .send()
    };
    assert_eq!(get(None).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        get(Some(stranger)).await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(get(Some(organiser)).await.unwrap().status(), StatusCode::OK);
    let client = &world.service.client;
    let anonymous = client
        .post(world.service.at(&path))
        .header("idempotency-key", key())
        .json(&body);
    assert_eq!(
        anonymous.send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let nowhere = format!("/api/payments/{}/refunds", Uuid::new_v4());
    let nowhere = client.post(world.service.at(&nowhere)).bearer_auth(admin());
    let nowhere = nowhere.header("idempotency-key", key()).json(&body);
    assert_eq!(
        nowhere.send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_is_told_which() {
    let world = World::start().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let amount = |amount: Value, currency: &str| json!({"reason": "because", "amount": {"amount": amount, "currency": currency}});
    let table = [
        (json!({"reason": "no"}), 422, "invalid_reason"),
        (json!({"reason": "two\nlines"}), 422, "invalid_reason"),
        (amount(json!(0), "USD"), 422, "invalid_amount"),
        (amount(json!(-5), "USD"), 422, "invalid_amount"),
        (amount(json!(1.5), "USD"), 422, "invalid_amount"),
        (amount(json!(100), "EUR"), 422, "currency_mismatch"),
        (amount(json!(100), "XXX"), 422, "currency_mismatch"),
        (amount(json!(2501), "USD"), 409, "refund_exceeds_captured"),
    ];
    for (body, status, code) in table {
        let key = Uuid::new_v4().to_string();
        let refused = world.refund_as(&admin(), &paid, &key, &body).await;
        assert_eq!(refused.status().as_u16(), status, "{body}");
        assert_eq!(problem_code(refused).await, code, "{body}");
    }
    assert_eq!(world.refunds(&paid).await.len(), 0);
}

#[tokio::test]
async fn a_wish_that_is_sent_again_is_one_refund_with_one_reply() {
    let world = World::start().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let (admin, key) = (admin(), Uuid::new_v4().to_string());
    let body = json!({"reason": "given twice"});
    let first = world.refund_as(&admin, &paid, &key, &body).await;
    let first = first.bytes().await.unwrap();
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
    let again = world.refund_as(&admin, &paid, &key, &body).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.bytes().await.unwrap(), first);
    let other = json!({"reason": "another reason"});
    let other = world.refund_as(&admin, &paid, &key, &other).await;
    assert_eq!(problem_code(other).await, "idempotency_key_reused");
    assert_eq!(world.refunds(&paid).await.len(), 1);
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 1);
}

#[tokio::test]
async fn a_refund_takes_the_tip_and_the_covered_fee_back_pro_rata() {
    let world = World::start().await;
    let mut ticket = world.gift_of(1300, Capture::Automatic, None).ticket;
    ticket.extras = Extras {
        tip: 200,
        covered_fee: 100,
    };
    let paid = world.paid_gift(world.sign(ticket), "pm_card_visa").await;
    let balances = async || {
        let mut held = Vec::new();
        for account in ["psp_receivable", "campaign_payable", "platform_tip", "fees"] {
            held.push(world.balance(account).await);
        }
        held
    };
    assert_eq!(balances().await, [1300, -1000, -200, -100]);
    world.refunded(&paid, Some(650)).await;
    world.until_amounts(&paid, "CAPTURED", 650, 0).await;
    assert_eq!(balances().await, [650, -500, -100, -50]);
    world.refunded(&paid, None).await;
    world.until_amounts(&paid, "REFUNDED", 1300, 0).await;
    assert_eq!(balances().await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_refund_that_the_database_has_forgotten_is_not_made_again_by_the_same_request() {
    let world = with_webhooks().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let (who, key) = (admin(), Uuid::new_v4().to_string());
    let body = json!({"reason": "asked for it", "amount": {"amount": 1000, "currency": "USD"}});
    let made = world.refund_as(&who, &paid, &key, &body).await;
    let made: Value = made.json().await.unwrap();
    world.until_refunds(&paid, &["SUCCEEDED"]).await;
    // Before we have heard of it again, the provider answers our call with the refund that it has.
    world.forget_refunds(&paid).await;
    let again = world.refund_as(&who, &paid, &key, &body).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    let again: Value = again.json().await.unwrap();
    assert_eq!(again["id"], made["id"]);
    world.until_refunds(&paid, &["SUCCEEDED"]).await;
    // And once we have, the request is answered with it.
    world.forget_refunds(&paid).await;
    world.nudge(&paid).await;
    let known = world.until_refunds(&paid, &["SUCCEEDED"]).await;
    assert_eq!(
        (&known[0]["id"], &known[0]["cause"]),
        (&made["id"], &json!("ADMIN"))
    );
    let again = world.refund_as(&who, &paid, &key, &body).await;
    assert!(again.headers().contains_key("idempotent-replayed"));
    let again: Value = again.json().await.unwrap();
    assert_eq!(again["id"], made["id"]);
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 1);
    world.until_amounts(&paid, "CAPTURED", 1000, 0).await;
}
