//! What topics hold since a moment, and groups that begin there again.

use std::sync::{Arc, Mutex};

use chassis::{
    clock::Clock,
    kafka::{Config, Fault, Handler, Kafka, Message, Record, Topic},
    lifecycle::Lifecycle,
};
use chrono::{DateTime, Utc};
use testkit::eventually;

const ORDERS: Topic = Topic {
    name: "orders",
    compacted: false,
};

async fn send(kafka: &Kafka, payloads: &[&str]) {
    let record = |payload: &&str| Record {
        topic: ORDERS.name.into(),
        key: (*payload).into(),
        payload: payload.as_bytes().to_vec(),
        headers: Vec::new(),
    };
    let sent = kafka.producer().unwrap();
    for result in sent.send_all(payloads.iter().map(record).collect()).await {
        result.unwrap();
    }
}

/// A moment after everything that was sent so far, and before what is sent next: the broker counts milliseconds.
fn between() -> DateTime<Utc> {
    let passed = |from: DateTime<Utc>| {
        while Clock::system().now().timestamp_millis() <= from.timestamp_millis() {
            std::thread::yield_now();
        }
        Clock::system().now()
    };
    passed(passed(Clock::system().now()))
}

fn payload(message: &Message) -> String {
    String::from_utf8(message.payload.clone()).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "as a reader of messages may fail")]
fn note(heard: &mut Vec<String>, message: &Message) -> Result<(), Fault> {
    heard.push(payload(message));
    Ok(())
}

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Handler for Heard {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        self.0.lock().unwrap().extend(batch.iter().map(payload));
        Ok(())
    }
}

/// What a member of the group hears until it has heard so many.
async fn consumed(kafka: &Kafka, count: usize) -> Vec<String> {
    let (heard, life) = (Heard::default(), Lifecycle::new());
    kafka.consume("history", &[ORDERS], heard.clone(), &life);
    let mut all = eventually("everything is heard", async || {
        let heard = heard.0.lock().unwrap().clone();
        (heard.len() >= count).then_some(heard)
    })
    .await;
    life.stop();
    life.finish().await;
    all.sort_unstable();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_since_a_moment_is_read_and_heard_once_more() {
    let config = Config {
        partitions: 3,
        ..testkit::kafka()
    };
    let kafka = Kafka::new(&config);
    kafka.create(&[ORDERS]).await.unwrap();
    send(&kafka, &["a", "b", "c"]).await;
    let since = between();
    send(&kafka, &["d", "e"]).await;
    let mut read: Vec<String> = kafka.recall(ORDERS, since, note).await.unwrap();
    read.sort_unstable();
    assert_eq!(read, ["d", "e"]);
    assert_eq!(consumed(&kafka, 5).await, ["a", "b", "c", "d", "e"]);
    kafka.rewind("history", &[ORDERS], since).await.unwrap();
    assert_eq!(consumed(&kafka, 2).await, ["d", "e"]);
    let later: Vec<String> = kafka.recall(ORDERS, between(), note).await.unwrap();
    assert!(later.is_empty());
}
