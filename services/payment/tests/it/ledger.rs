//! Captured money and its entries change together, once.

use common::events::Capture;
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use testkit::eventually;

use crate::world::{Gift, Plan, World};

/// The sets of a payment: effect, object, and the entries as account and amount.
async fn sets(world: &World, gift: &Gift) -> Vec<(String, String, String)> {
    sqlx::query_as(
        "select s.effect, s.psp_object, string_agg(e.account || ' ' || e.amount_minor, ', ' order by e.line)
         from ledger_sets s join ledger_entries e using (set_id)
         where s.payment_id = $1 group by s.set_id order by s.set_id",
    )
    .bind(gift.payment_id.get())
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

/// The steps of a payment's pending transfer: step, held, posted, released.
async fn holds(world: &World, gift: &Gift) -> Vec<(String, i64, i64, i64)> {
    sqlx::query_as(
        "select step, held_minor, posted_minor, released_minor from ledger_holds where payment_id = $1 order by resolved",
    )
    .bind(gift.payment_id.get())
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

fn captured(intent: &str, minor: i64) -> (String, String, String) {
    let lines = format!("psp_receivable {minor}, campaign_payable -{minor}");
    ("captured".to_owned(), intent.to_owned(), lines)
}

#[tokio::test]
async fn a_capture_is_booked_once_however_often_and_in_whatever_order_it_is_told() {
    let world = World::start().await;
    let orders: [[usize; 4]; 6] = [
        [0, 1, 2, 3],
        [2, 3, 0, 1],
        [0, 2, 1, 3],
        [2, 0, 3, 1],
        [2, 0, 1, 3],
        [0, 2, 3, 1],
    ];
    for order in orders {
        let gift = world.gift_of(2500, Capture::Manual, None);
        let intent = world.open(&gift).await.intent;
        // Two events of each effect: they differ in nothing but their ids.
        let told = [
            gift.authorized(&intent),
            gift.authorized(&intent),
            gift.captured(&intent),
            gift.captured(&intent),
        ];
        for event in order {
            // And each of them twice.
            world.verdict(&told[event]).await;
            assert_eq!(world.verdict(&told[event]).await, "DUPLICATE");
        }
        assert_eq!(
            sets(&world, &gift).await,
            [captured(&intent, 2500)],
            "{order:?}"
        );
    }
}

#[tokio::test]
async fn captures_that_are_told_all_at_once_are_booked_once_each() {
    let world = World::start().await;
    let gifts: Vec<Gift> = (0..20).map(|_| world.gift()).collect();
    let intents = join_all(gifts.iter().map(async |gift| world.open(gift).await.intent)).await;
    let told = gifts.iter().zip(&intents).flat_map(|(gift, intent)| {
        let (one, other) = (gift.captured(intent), gift.captured(intent));
        [one.clone(), other.clone(), one, other]
    });
    join_all(told.map(async |event| world.verdict(&event).await)).await;
    for (gift, intent) in gifts.iter().zip(&intents) {
        assert_eq!(sets(&world, gift).await, [captured(intent, 2500)]);
        assert_eq!(holds(&world, gift).await, [], "nobody told of a hold");
    }
}

#[tokio::test]
async fn an_authorisation_is_pending_until_it_is_posted_or_voided() {
    let world = World::start().await;
    let gift = world.gift_of(2500, Capture::Manual, None);
    let intent = world.open(&gift).await.intent;
    world.verdict(&gift.authorized(&intent)).await;
    let held = ("held".to_owned(), 2500, 0, 0);
    assert_eq!(holds(&world, &gift).await, std::slice::from_ref(&held));
    assert_eq!(sets(&world, &gift).await, []);
    world.order(&gift, 2000).await;
    let partly = json!({"status": "succeeded", "amount_received": 2000});
    world
        .verdict(&gift.news("payment_intent.succeeded", &intent, &partly))
        .await;
    let posted = ("posted".to_owned(), 2500, 2000, 500);
    assert_eq!(holds(&world, &gift).await, [held.clone(), posted]);
    assert_eq!(sets(&world, &gift).await, [captured(&intent, 2000)]);

    let gift = world.gift_of(2500, Capture::Manual, None);
    let intent = world.open(&gift).await.intent;
    world.verdict(&gift.authorized(&intent)).await;
    let cancelled = gift.news(
        "payment_intent.canceled",
        &intent,
        &json!({"status": "canceled"}),
    );
    world.verdict(&cancelled).await;
    let voided = ("voided".to_owned(), 2500, 0, 2500);
    assert_eq!(holds(&world, &gift).await, [held, voided]);
    assert_eq!(sets(&world, &gift).await, []);
}

#[tokio::test]
async fn what_moves_no_money_is_not_in_the_books() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    world.verdict(&gift.declined(&intent)).await;
    let too_much = json!({"status": "succeeded", "amount_received": 2600});
    let told = world
        .verdict(&gift.news("payment_intent.succeeded", &intent, &too_much))
        .await;
    assert_eq!(told, "QUARANTINED");
    world
        .verdict(&gift.news(
            "payment_intent.canceled",
            &intent,
            &json!({"status": "canceled"}),
        ))
        .await;
    assert_eq!(world.verdict(&gift.captured(&intent)).await, "CONFLICT");
    assert_eq!(sets(&world, &gift).await, []);
    assert_eq!(holds(&world, &gift).await, []);
}

#[tokio::test]
async fn a_capture_whose_entries_cannot_be_written_is_not_recorded_and_is_told_again() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    let told = gift.captured(&intent);
    sqlx::query("alter table ledger_entries add constraint broken check (amount_minor > 0)")
        .execute(&world.pool)
        .await
        .unwrap();
    let refused = world.deliver(&told).await;
    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(world.state(&gift).await, "PENDING");
    assert_eq!(
        world.stored_verdict(told["id"].as_str().unwrap()).await,
        None
    );
    assert_eq!(sets(&world, &gift).await, []);
    sqlx::query("alter table ledger_entries drop constraint broken")
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(world.verdict(&told).await, "IMPLIED");
    assert_eq!(sets(&world, &gift).await, [captured(&intent, 2500)]);
}

#[tokio::test]
async fn the_provider_and_the_books_agree_after_faulty_deliveries() {
    let world = World::of(Plan {
        webhooks: true,
        ..Plan::default()
    })
    .await;
    let faults = json!({
        "seed": 11, "duplicate": 0.5, "reorder": 0.5, "delay": {"probability": 0.5, "max_ms": 50},
    });
    let path = format!("{}/_sim/faults", world.psp.url);
    let set = world.service.client.post(path).json(&faults).send().await;
    assert!(set.unwrap().status().is_success());
    let gifts: Vec<Gift> = (0..20)
        .map(|n| {
            let capture = if n % 2 == 0 {
                Capture::Automatic
            } else {
                Capture::Manual
            };
            world.gift_of(1000 + n, capture, None)
        })
        .collect();
    join_all(gifts.iter().map(async |gift| {
        let open = world.open(gift).await;
        world.psp.confirm(&open, "pm_card_visa").await;
        if gift.ticket.capture == Capture::Manual {
            world.psp.capture(&open).await;
        }
    }))
    .await;
    for gift in &gifts {
        world.until(gift, "CAPTURED").await;
    }
    for gift in &gifts {
        let booked = sets(&world, gift).await;
        assert_eq!(booked.len(), 1);
        assert_eq!(booked[0].2, captured("", gift.ticket.amount.minor).2);
    }
}

#[tokio::test]
async fn a_set_that_came_to_be_unbalanced_behind_the_databases_back_is_counted() {
    let world = World::start().await;
    let mut meddler = world.pool.acquire().await.unwrap();
    sqlx::raw_sql(
        "alter table ledger_sets disable trigger ledger_sets_balanced;
         alter table ledger_entries disable trigger ledger_entries_balanced;
         insert into ledger_sets (set_id, effect, reason, entered_by, at)
         values ('01990000-0000-7000-8000-000000000000', 'correction', 'a test', gen_random_uuid(), now());
         insert into ledger_entries (set_id, line, account, currency, amount_minor, at)
         values ('01990000-0000-7000-8000-000000000000', 1, 'fees', 'USD', 5, now());",
    )
    .execute(&mut *meddler)
    .await
    .unwrap();
    eventually("the metric", async || {
        let reply = world.service.client.get(world.service.at("/metrics"));
        let metrics = reply.send().await.unwrap().text().await.unwrap();
        metrics.contains("\nledger_imbalance 1\n").then_some(())
    })
    .await;
    let metrics = world.service.client.get(world.service.at("/metrics"));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"payment_alarms_total{kind="ledger_imbalance"}"#));
}
