//! `POST /api/webhooks/psp/stripe`: what is believed, and what it does.

use common::{
    events::Capture,
    ids::{PaymentId, PledgeId},
};
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Executor;
use testkit::problem_code;

use crate::world::{Gift, Plan, Table, World, sign, sign_with};

#[tokio::test]
async fn one_event_ten_times_at_once_is_one_transition() {
    let world = World::start().await;
    let gift = world.gift();
    let event = gift.captured(&world.open(&gift).await.intent);
    let replies = join_all((0..10).map(|_| world.deliver(&event))).await;
    let mut verdicts = Vec::new();
    for reply in replies {
        assert_eq!(reply.status(), StatusCode::OK);
        let receipt: Value = reply.json().await.unwrap();
        verdicts.push(receipt["verdict"].as_str().unwrap().to_owned());
    }
    verdicts.sort_unstable();
    let mut expected = vec!["DUPLICATE"; 9];
    expected.push("IMPLIED");
    assert_eq!(verdicts, expected);
    assert_eq!(world.count(Table::Webhooks).await, 1);
    assert_eq!(world.payment(&gift).await["version"], 2);
    let history = [
        ("PENDING".to_owned(), "AUTHORIZED".to_owned(), true),
        ("AUTHORIZED".to_owned(), "CAPTURED".to_owned(), false),
    ];
    assert_eq!(world.history(&gift).await, history);
}

#[tokio::test]
async fn the_very_same_delivery_again_has_no_effect() {
    let world = World::start().await;
    let gift = world.gift();
    let body = gift.captured(&world.open(&gift).await.intent).to_string();
    let signature = sign(&body, world.clock.now().timestamp());
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        let reply = world.deliver_signed(body.clone(), Some(&signature)).await;
        assert_eq!(reply.status(), StatusCode::OK);
        let receipt: Value = reply.json().await.unwrap();
        verdicts.push(receipt["verdict"].as_str().unwrap().to_owned());
    }
    assert_eq!(verdicts, ["IMPLIED", "DUPLICATE", "DUPLICATE"]);
    assert_eq!(world.count(Table::Webhooks).await, 1);
    assert_eq!(world.count(Table::Transitions).await, 2);
    assert_eq!(world.payment(&gift).await["version"], 2);
}

#[tokio::test]
async fn two_events_of_one_effect_are_one_transition() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    assert_eq!(world.verdict(&gift.captured(&intent)).await, "IMPLIED");
    assert_eq!(world.verdict(&gift.captured(&intent)).await, "DUPLICATE");
    assert_eq!(world.count(Table::Webhooks).await, 2);
    assert_eq!(world.payment(&gift).await["version"], 2);
}

#[tokio::test]
async fn many_payments_at_once_get_each_their_own_verdict() {
    let world = World::start().await;
    let gifts: Vec<_> = (0..40).map(|_| world.gift()).collect();
    let opened = join_all(gifts.iter().map(|gift| world.open(gift))).await;
    let told = gifts.iter().zip(&opened).enumerate();
    let told = told.map(|(n, (gift, open))| match n % 10 {
        0..3 => (gift.captured(&open.intent), "IMPLIED", "CAPTURED"),
        3..6 => (gift.authorized(&open.intent), "APPLIED", "AUTHORIZED"),
        // One more in an hour, and what else they have open is called off.
        6 => (gift.declined(&open.intent), "APPLIED", "PENDING"),
        _ => {
            let opened = gift.news("payment_intent.created", &open.intent, &json!({}));
            (opened, "IGNORED", "PENDING")
        }
    });
    let (events, expected): (Vec<_>, Vec<_>) = told
        .map(|(event, verdict, state)| ((event, verdict), state))
        .unzip();
    let judged = events
        .iter()
        .map(async |(event, expected)| assert_eq!(world.verdict(event).await, *expected));
    join_all(judged).await;
    let states = join_all(gifts.iter().map(|gift| world.state(gift))).await;
    assert_eq!(states, expected);
}

#[tokio::test]
async fn what_is_not_signed_by_the_provider_is_not_believed_and_not_stored() {
    let world = World::start().await;
    let gift = world.gift();
    let event = gift.captured(&world.open(&gift).await.intent).to_string();
    let now = world.clock.now().timestamp();
    let mut members: Value = serde_json::from_str(&event).unwrap();
    let object = members.as_object_mut().unwrap();
    let id = object.remove("id").unwrap();
    let reordered = format!("{{\"id\":{id},{}", &members.to_string()[1..]);
    let table = [
        ("no header", event.clone(), None),
        ("malformed", event.clone(), Some("nonsense".to_owned())),
        (
            "forged",
            event.clone(),
            Some(sign_with(&"whsec_forged".into(), &event, now)),
        ),
        ("expired", event.clone(), Some(sign(&event, now - 302))),
        (
            "from the future",
            event.clone(),
            Some(sign(&event, now + 302)),
        ),
        ("re-ordered", reordered, Some(sign(&event, now))),
        (
            "another body",
            event.replace("2500", "2400"),
            Some(sign(&event, now)),
        ),
    ];
    for (name, body, signature) in table {
        let reply = world.deliver_signed(body, signature.as_deref()).await;
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(problem_code(reply).await, "bad_signature", "{name}");
    }
    assert_eq!(world.count(Table::Webhooks).await, 0);
    assert_eq!(world.state(&gift).await, "PENDING");
    let by_next_secret = sign_with(&"whsec_next".into(), &event, now);
    let reply = world.deliver_signed(event, Some(&by_next_secret)).await;
    assert_eq!(
        reply.status(),
        StatusCode::OK,
        "the secret that is rotated in"
    );
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused() {
    let world = World::start().await;
    let signed = async |body: String| {
        let signature = sign(&body, world.clock.now().timestamp());
        world.deliver_signed(body, Some(&signature)).await
    };
    for body in ["", "{", "[]", "{}", r#"{"id":"evt_1"}"#] {
        let reply = signed(body.to_owned()).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(problem_code(reply).await, "malformed_event", "{body}");
    }
    let kept: i64 = sqlx::query_scalar(
        "select count(*) from webhook_rejections where reason = 'unreadable' and headers is not null",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(kept, 5, "each can be looked at all the same");
    let padding = |size: usize| {
        json!({"id": "evt_big", "type": "ping", "padding": "x".repeat(size)}).to_string()
    };
    let reply = signed(padding(256 * 1024)).await;
    assert_eq!(reply.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(problem_code(reply).await, "body_too_large");
    assert_eq!(world.count(Table::Webhooks).await, 0);
    assert_eq!(signed(padding(200 * 1024)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_moves_nothing_is_stored_and_answered_200() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    let stranger = PaymentId::of(PledgeId::new(), 1);
    let mut livemode = gift.captured(&intent);
    livemode["livemode"] = json!(true);
    let mut account = gift.captured(&intent);
    account["account"] = json!("acct_1");
    let mut charge = gift.captured(&intent);
    charge["type"] = json!("charge.succeeded");
    let succeeded = |told: &Value| gift.news("payment_intent.succeeded", &intent, told);
    let table = [
        (gift.news("payment_intent.succeeded", "pi_unknown", &json!({"status": "succeeded", "amount_received": 2500, "metadata": {"payment_id": stranger}})), "PARKED"),
        (gift.news("payment_intent.succeeded", "pi_unknown", &json!({"status": "succeeded", "amount_received": 2500, "metadata": {}})), "PARKED"),
        (succeeded(&json!({"status": "succeeded", "amount_received": 2600})), "QUARANTINED"),
        (succeeded(&json!({"status": "succeeded", "amount_received": 2600, "amount": 2600})), "QUARANTINED"),
        (succeeded(&json!({"status": "succeeded", "amount_received": 2500, "currency": "eur"})), "QUARANTINED"),
        (succeeded(&json!({"status": "succeeded", "amount_received": 0})), "QUARANTINED"),
        (succeeded(&json!({"status": "status_of_tomorrow", "amount_received": 2500})), "QUARANTINED"),
        (succeeded(&json!({"status": "requires_capture", "amount_received": 2500})), "QUARANTINED"),
        (gift.captured("pi_another"), "CONFLICT"),
        (livemode, "IGNORED"),
        (account, "IGNORED"),
        (charge, "IGNORED"),
        (json!({"id": "evt_of_tomorrow", "type": "type.of_tomorrow"}), "IGNORED"),
        (gift.news("payment_intent.processing", &intent, &json!({"status": "processing"})), "IGNORED"),
    ];
    let stored = table.len();
    for (event, verdict) in table {
        assert_eq!(world.verdict(&event).await, verdict, "{event}");
        let id = event["id"].as_str().unwrap();
        assert_eq!(world.stored_verdict(id).await.as_deref(), Some(verdict));
    }
    assert_eq!(
        world.count(Table::Webhooks).await,
        i64::try_from(stored).unwrap()
    );
    assert_eq!(world.count(Table::Transitions).await, 0);
    assert_eq!(world.payment(&gift).await["version"], 1);
    let metrics = world
        .service
        .client
        .get(world.service.at("/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    for alarm in ["webhook_quarantined", "webhook_conflict"] {
        assert!(
            metrics.contains(&format!("payment_alarms_total{{kind=\"{alarm}\"}}")),
            "{alarm}"
        );
    }
}

#[tokio::test]
async fn money_on_an_ended_payment_is_a_conflict_and_not_lost() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    let cancelled = gift.news(
        "payment_intent.canceled",
        &intent,
        &json!({"status": "canceled"}),
    );
    assert_eq!(world.verdict(&cancelled).await, "APPLIED");
    assert_eq!(world.state(&gift).await, "CANCELLED");
    let captured = gift.captured(&intent);
    assert_eq!(world.verdict(&captured).await, "CONFLICT");
    assert_eq!(world.state(&gift).await, "CANCELLED");
    assert_eq!(
        world
            .stored_verdict(captured["id"].as_str().unwrap())
            .await
            .as_deref(),
        Some("CONFLICT")
    );
}

/// An event that tells of a part of the gift's money only.
fn partly(gift: &Gift, intent: &str) -> Value {
    let told = json!({"status": "succeeded", "amount_received": 1000});
    gift.news("payment_intent.succeeded", intent, &told)
}

#[tokio::test]
async fn a_part_that_a_webhook_alone_tells_of_is_not_believed_and_the_truth_is_fetched() {
    let world = World::start().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    assert_eq!(
        world.psp.confirm(&open, "pm_card_visa").await.status(),
        StatusCode::OK
    );
    assert_eq!(
        world.verdict(&partly(&gift, &open.intent)).await,
        "CONFLICT"
    );
    world.until(&gift, "CAPTURED").await;
    assert_eq!(world.payment(&gift).await["captured"]["amount"], 2500);
    assert!(world.matters("CONFLICT").await.is_empty());
}

#[tokio::test]
async fn a_part_that_was_taken_in_the_providers_own_tools_is_what_the_provider_says() {
    let world = World::start().await;
    let gift = world.gift_of(2500, Capture::Manual, None);
    let open = world.open(&gift).await;
    assert_eq!(
        world.psp.confirm(&open, "pm_card_visa").await.status(),
        StatusCode::OK
    );
    assert_eq!(
        world.verdict(&gift.authorized(&open.intent)).await,
        "APPLIED"
    );
    let path = format!("/v1/payment_intents/{}/capture", open.intent);
    world
        .dashboard(&path, &[("amount_to_capture", "1000")], None)
        .await;
    assert_eq!(
        world.verdict(&partly(&gift, &open.intent)).await,
        "CONFLICT"
    );
    world.until(&gift, "CAPTURED").await;
    let payment = world.payment(&gift).await;
    assert_eq!(payment["authorized"]["amount"], 2500);
    assert_eq!(payment["captured"]["amount"], 1000);
    assert_eq!(
        world.verdict(&partly(&gift, &open.intent)).await,
        "DUPLICATE"
    );
    assert!(world.matters("CONFLICT").await.is_empty());
}

#[tokio::test]
async fn a_part_that_we_ordered_is_believed() {
    let world = World::start().await;
    let gift = world.gift_of(2500, Capture::Manual, None);
    let intent = world.open(&gift).await.intent;
    assert_eq!(world.verdict(&gift.authorized(&intent)).await, "APPLIED");
    world.order(&gift, 1000).await;
    assert_eq!(world.verdict(&partly(&gift, &intent)).await, "APPLIED");
    let payment = world.payment(&gift).await;
    assert_eq!(payment["authorized"]["amount"], 2500);
    assert_eq!(payment["captured"]["amount"], 1000);
}

#[tokio::test]
async fn a_decline_and_then_success_on_the_same_intent_is_one_charge() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    let declined = world.psp.confirm(&open, "pm_card_chargeDeclined").await;
    assert_eq!(declined.status(), StatusCode::PAYMENT_REQUIRED);
    testkit::eventually("the decline is told", async || {
        let payment = world.payment(&gift).await;
        (payment["failure"]["code"] == "card_declined").then_some(())
    })
    .await;
    assert_eq!(world.state(&gift).await, "PENDING");
    let again = world.open(&gift).await;
    assert_eq!(again.client_secret, open.client_secret);
    assert_eq!(
        world.psp.confirm(&again, "pm_card_visa").await.status(),
        StatusCode::OK
    );
    world.until(&gift, "CAPTURED").await;
    assert_eq!(world.psp.intents().await, 1);
    assert_eq!(world.psp.charges().await, 1);
    let attempts: Vec<(String, Option<String>)> =
        sqlx::query_as("select code, decline_code from payment_attempts")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(
        attempts,
        [(
            "card_declined".to_owned(),
            Some("generic_decline".to_owned())
        )]
    );
}

#[tokio::test]
async fn a_delivery_that_finds_its_payment_locked_is_to_be_sent_again() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    let mut holder = world.pool.acquire().await.unwrap();
    holder.execute("begin").await.unwrap();
    sqlx::query("select from payments where payment_id = $1 for update")
        .bind(gift.payment_id.get())
        .execute(&mut *holder)
        .await
        .unwrap();
    let event = gift.captured(&intent);
    let refused = world.deliver(&event).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(problem_code(refused).await, "overloaded");
    holder.execute("rollback").await.unwrap();
    assert_eq!(world.verdict(&event).await, "IMPLIED");
}
