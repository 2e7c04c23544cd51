//! The pledge's event and the donor's ticket make the same payment, whichever comes first.

use common::ids::UserId;
use futures::future::join_all;
use reqwest::StatusCode;
use testkit::{eventually, publish};

use crate::world::{Gift, Table, World};

/// Publishes the pledge's event, and returns once it was consumed: a later one of the same partition has been.
async fn announce(world: &World, gift: &Gift) {
    publish(&world.kafka, &gift.event(world.clock.now())).await;
    let marker = world.gift();
    publish(&world.kafka, &marker.event(world.clock.now())).await;
    eventually("the event was consumed", async || {
        (world.get(&marker).await.status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_event_first() {
    let world = World::start().await;
    let gift = world.gift_of(2500, common::events::Capture::Manual, Some(UserId::new()));
    announce(&world, &gift).await;
    assert_eq!(world.state(&gift).await, "PENDING");
    assert_eq!(
        world.psp.intents().await,
        0,
        "nothing is opened before the donor comes"
    );
    let request: Vec<u8> =
        sqlx::query_scalar("select psp_request from payments where payment_id = $1")
            .bind(gift.payment_id.get())
            .fetch_one(&world.pool)
            .await
            .unwrap();
    let form = String::from_utf8(request).unwrap();
    assert!(
        form.contains("capture_method=manual"),
        "as the campaign has it: {form}"
    );
    world.open(&gift).await;
    assert_eq!(
        world.count(Table::Payments).await,
        2,
        "the marker's as well"
    );
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn the_ticket_first() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    announce(&world, &gift).await;
    assert_eq!(world.open(&gift).await.intent, intent);
    assert_eq!(world.payment(&gift).await["version"], 1);
    assert_eq!(
        world.count(Table::Payments).await,
        2,
        "the marker's as well"
    );
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn both_at_once_and_the_event_twice() {
    let world = World::start().await;
    let gifts: Vec<Gift> = (0..20).map(|_| world.gift()).collect();
    let meet = gifts.iter().map(async |gift| {
        let event = gift.event(world.clock.now());
        let body = gift.body();
        let (reply, (), ()) = futures::join!(
            world.post(&body),
            publish(&world.kafka, &event),
            publish(&world.kafka, &event),
        );
        assert_eq!(reply.status(), StatusCode::CREATED);
    });
    join_all(meet).await;
    announce(&world, &gifts[0]).await;
    assert_eq!(
        world.count(Table::Payments).await,
        21,
        "the marker's as well"
    );
    assert_eq!(world.psp.intents().await, 20);
    eventually("every creation was told", async || {
        let waiting: i64 = sqlx::query_scalar("select count(*) from outbox")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        (waiting == 0).then_some(())
    })
    .await;
}
