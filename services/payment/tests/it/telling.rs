//! `cfa.payment.events.v1`: every change is told, once per version, in the pledge's trace.

use std::sync::{Arc, Mutex};

use chassis::kafka::{Fault, Handler, Kafka, Message, Record};
use common::{
    events::{Event, PaymentEvent, PaymentKind, topics},
    payment::State,
};
use testkit::eventually;
use uuid::Uuid;

use crate::world::{Gift, World};

/// Keeps what it hears: message and snapshot.
#[derive(Clone, Default)]
pub struct Ear(Arc<Mutex<Vec<(Message, PaymentEvent)>>>);

impl Handler for Ear {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        for message in batch {
            let event = message.json()?;
            self.0.lock().unwrap().push((message.clone(), event));
        }
        Ok(())
    }
}

impl Ear {
    pub fn on(world: &World) -> Self {
        let ear = Self::default();
        Kafka::new(&world.kafka).consume(
            "ear",
            &[topics::PAYMENT.into()],
            ear.clone(),
            &world.life,
        );
        ear
    }

    /// What was told of a gift, once there are so many.
    pub async fn told(&self, gift: &Gift, count: usize) -> Vec<(Message, PaymentEvent)> {
        eventually("everything is told", async || {
            let heard = self.0.lock().unwrap();
            let own: Vec<_> = heard
                .iter()
                .filter(|(_, event)| event.payment_id == gift.payment_id)
                .cloned()
                .collect();
            (own.len() >= count).then_some(own)
        })
        .await
    }
}

#[tokio::test]
async fn every_change_is_told_as_a_snapshot_whose_version_grows_by_one() {
    let world = World::start().await;
    let ear = Ear::on(&world);
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    for event in [
        gift.declined(&intent),
        gift.authorized(&intent),
        gift.captured(&intent),
        gift.captured(&intent),
    ] {
        world.deliver(&event).await;
    }
    let told = ear.told(&gift, 4).await;
    let kinds: Vec<_> = told.iter().map(|(_, event)| event.kind).collect();
    let expected = [
        PaymentKind::Created,
        PaymentKind::AttemptFailed,
        PaymentKind::Authorized,
        PaymentKind::Captured,
    ];
    assert_eq!(kinds, expected);
    for (n, (message, event)) in told.iter().enumerate() {
        assert_eq!(event.version, i64::try_from(n).unwrap() + 1);
        assert_eq!(message.key, gift.ticket.pledge_id.to_string());
        assert_eq!(message.header("ce_type"), Some(event.kind()));
        assert_eq!(event.donor_ref, gift.ticket.donor_ref);
        assert_eq!(event.contact_id, gift.ticket.contact_id);
    }
    let (_, last) = told.last().unwrap();
    assert_eq!(
        (last.state, last.previous),
        (State::Captured, Some(State::Authorized))
    );
    assert_eq!(
        (last.authorized, last.captured, last.refunded),
        (2500, 2500, 0)
    );
    assert_eq!(last.provider_ref.as_deref(), Some(intent.as_str()));
    assert_eq!(told[1].1.failure.as_ref().unwrap().code, "card_declined");
}

#[tokio::test]
async fn implied_steps_are_named() {
    let world = World::start().await;
    let ear = Ear::on(&world);
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    world.deliver(&gift.captured(&intent)).await;
    let told = ear.told(&gift, 2).await;
    assert_eq!(told[1].1.implied, [State::Authorized]);
    assert_eq!(
        (told[1].1.previous, told[1].1.version),
        (Some(State::Pending), 2)
    );
}

#[tokio::test]
async fn a_payment_is_created_once_however_often_its_pledge_is_told() {
    let world = World::start().await;
    let ear = Ear::on(&world);
    let (gift, later) = (world.gift(), world.gift());
    let record = |gift: &Gift| {
        let event = gift.event(world.clock.now());
        Record {
            topic: topics::PLEDGE.name.to_owned(),
            key: event.key(),
            payload: serde_json::to_vec(&event).unwrap(),
            headers: vec![("ce_id".to_owned(), Uuid::now_v7().to_string())],
        }
    };
    let producer = Kafka::new(&world.kafka).producer().unwrap();
    let records = vec![record(&gift), record(&gift), record(&gift), record(&later)];
    for sent in producer.send_all(records).await {
        sent.unwrap();
    }
    ear.told(&later, 1).await;
    producer
        .send_all(vec![record(&gift)])
        .await
        .pop()
        .unwrap()
        .unwrap();
    let last = world.gift();
    producer
        .send_all(vec![record(&last)])
        .await
        .pop()
        .unwrap()
        .unwrap();
    ear.told(&last, 1).await;
    assert_eq!(ear.told(&gift, 1).await.len(), 1);
}

#[tokio::test]
async fn the_pledges_trace_goes_on_whichever_way_it_came() {
    let world = World::start().await;
    let ear = Ear::on(&world);
    for ticket_first in [true, false] {
        let gift = world.gift();
        let traceparent = gift.ticket.traceparent.clone().unwrap();
        let trace = &traceparent[3..35];
        if !ticket_first {
            let event = gift.event(world.clock.now());
            let record = Record {
                topic: topics::PLEDGE.name.to_owned(),
                key: event.key(),
                payload: serde_json::to_vec(&event).unwrap(),
                headers: vec![
                    ("ce_id".to_owned(), Uuid::now_v7().to_string()),
                    ("traceparent".to_owned(), traceparent.clone()),
                ],
            };
            let producer = Kafka::new(&world.kafka).producer().unwrap();
            producer
                .send_all(vec![record])
                .await
                .pop()
                .unwrap()
                .unwrap();
            ear.told(&gift, 1).await;
        }
        let intent = world.open(&gift).await.intent;
        world.deliver(&gift.captured(&intent)).await;
        for (message, event) in ear.told(&gift, 2).await {
            let told = message.header("traceparent").unwrap();
            assert!(
                told.contains(trace),
                "{}: {told} is not of {trace}",
                event.kind
            );
        }
    }
}
