//! Facts reach Kafka after their commit, in order, and never without it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chassis::{
    clock::Clock,
    db::Db,
    kafka::{Fault, Handler, Kafka, Message},
    lifecycle::Lifecycle,
};
use common::{
    events::{ContactState, topics},
    ids::ContactId,
    outbox,
};
use testkit::{Database, eventually};

use crate::backends::{count, open};

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Message>>>);

impl Handler for Seen {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        self.0
            .lock()
            .expect("nobody panicked")
            .extend(batch.iter().cloned());
        Ok(())
    }
}

impl Seen {
    fn versions(&self) -> Vec<i64> {
        self.events().iter().map(|event| event.version).collect()
    }

    fn versions_of(&self, contact: ContactId) -> Vec<i64> {
        let events = self.events().into_iter();
        let of = events.filter(|event| event.contact_id == contact);
        of.map(|event| event.version).collect()
    }

    fn events(&self) -> Vec<ContactState> {
        let seen = self.0.lock().expect("nobody panicked");
        seen.iter()
            .map(|message| message.json().expect("an event"))
            .collect()
    }
}

fn event(contact_id: ContactId, version: i64) -> ContactState {
    ContactState {
        contact_id,
        name: "Ada".into(),
        email: "ada@example.org".into(),
        version,
        occurred_at: Clock::system().now(),
    }
}

async fn write(db: &Db, contact: ContactId, version: i64) {
    let mut tx = db.begin().await.expect("a transaction");
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    outbox::enqueue(&mut tx, &event(contact, version), Some(traceparent.into()))
        .await
        .expect("it is enqueued");
    tx.commit().await.expect("it commits");
}

fn listen(life: &Lifecycle) -> (Kafka, Seen) {
    let (kafka, seen) = (Kafka::new(&testkit::kafka()), Seen::default());
    kafka.consume("test", &[topics::CONTACT.into()], seen.clone(), life);
    (kafka, seen)
}

async fn drained(database: &Database) {
    eventually("the outbox is empty", async || {
        (count(database, "select count(*) from outbox").await == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_facts_arrive_in_order_as_cloudevents_and_are_deleted() {
    let (database, db, life) = open().await;
    let (kafka, seen) = listen(&life);
    let contact = ContactId::new();
    for version in 1..=50 {
        write(&db, contact, version).await;
    }
    let mut tx = db.begin().await.expect("a transaction");
    outbox::enqueue(&mut tx, &event(contact, 51), None)
        .await
        .expect("it is enqueued");
    tx.rollback().await.expect("it rolls back");
    outbox::spawn_publisher("test", &db, &kafka, &life);
    write(&db, contact, 51).await;
    eventually("all arrived", async || {
        (seen.versions().len() >= 51).then_some(())
    })
    .await;
    assert_eq!(seen.versions(), (1..=51).collect::<Vec<_>>());
    drained(&database).await;
    let first = seen.0.lock().expect("nobody panicked")[0].clone();
    assert_eq!(first.key, contact.to_string());
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_type", "contact.changed"),
        ("ce_source", "/careforall/test"),
        ("ce_subject", contact.to_string().as_str()),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("content-type", "application/json"),
    ] {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    first.event_id().expect("ce_id is a UUID");
    life.stop();
    life.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_relays_leads_and_the_other_takes_over() {
    let (database, db, life) = open().await;
    let (kafka, seen) = listen(&life);
    let (first, second) = (Lifecycle::new(), Lifecycle::new());
    outbox::spawn_publisher("test", &db, &kafka, &first);
    let contact = ContactId::new();
    write(&db, contact, 1).await;
    drained(&database).await;
    outbox::spawn_publisher("test", &db, &kafka, &second);
    for version in 2..=20 {
        write(&db, contact, version).await;
    }
    drained(&database).await;
    first.stop();
    first.finish().await;
    write(&db, contact, 21).await;
    drained(&database).await;
    eventually("all arrived", async || {
        (seen.versions().len() >= 21).then_some(())
    })
    .await;
    assert_eq!(
        seen.versions(),
        (1..=21).collect::<Vec<_>>(),
        "each once and in order: there was one leader at a time"
    );
    for life in [second, life] {
        life.stop();
        life.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_is_committed_late_is_told_before_what_follows_from_it() {
    let (database, db, life) = open().await;
    let (kafka, seen) = listen(&life);
    outbox::spawn_publisher("common", &db, &kafka, &life);
    let (late, other) = (ContactId::new(), ContactId::new());
    let mut slow = db.begin().await.expect("a transaction");
    outbox::enqueue(&mut slow, &event(late, 1), None)
        .await
        .expect("it is enqueued");
    // The relay has gone far beyond by then.
    let began = Instant::now();
    for version in 1.. {
        write(&db, other, version).await;
        drained(&database).await;
        if began.elapsed() > Duration::from_secs(2) {
            break;
        }
    }
    slow.commit().await.expect("it commits");
    write(&db, late, 2).await;
    let told = eventually("both are told", async || {
        let told = seen.versions_of(late);
        (told.len() >= 2).then_some(told)
    })
    .await;
    assert_eq!(told, [1, 2]);
    life.stop();
    life.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_without_a_broker_keeps_every_row() {
    let (database, db, life) = open().await;
    let mut config = testkit::kafka();
    config.brokers = "127.0.0.1:1".into();
    let producer = Kafka::new(&config);
    outbox::spawn_publisher("test", &db, &producer, &life);
    write(&db, ContactId::new(), 1).await;
    life.stop();
    assert_eq!(count(&database, "select count(*) from outbox").await, 1);
}
