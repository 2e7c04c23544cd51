//! What the services publish, read back from the broker.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use serde_json::Value;
use tokio::task::block_in_place;

/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A published event.
#[derive(Clone, Debug)]
pub struct Record {
    /// The aggregate.
    pub key: String,
    /// The CloudEvents id.
    pub event_id: String,
    /// The snapshot.
    pub payload: Value,
}

impl Record {
    /// The version of the snapshot.
    pub fn version(&self) -> i64 {
        self.payload["version"]
            .as_i64()
            .expect("a snapshot has a version")
    }
}

/// The fleet's topics. Each has one partition.
pub struct Topics {
    brokers: String,
    prefix: String,
}

impl Topics {
    pub(super) fn new(brokers: &str, prefix: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    /// Every record of a topic with this key, in order.
    pub fn records(&self, topic: &str, key: &str) -> Vec<Record> {
        let mut records = self.all(topic);
        records.retain(|record| record.key == key);
        records
    }

    /// Every record of a topic, in order.
    pub fn all(&self, topic: &str) -> Vec<Record> {
        block_in_place(|| {
            let consumer = self.consumer("proof");
            let topic = format!("{}{topic}", self.prefix);
            let (first, end) = consumer
                .fetch_watermarks(&topic, 0, PATIENCE)
                .expect("the topic is there");
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(&topic, 0, Offset::Offset(first))
                .expect("an offset");
            consumer.assign(&from).expect("the partition can be read");
            let mut records = Vec::new();
            let mut next = first;
            while next < end {
                let message = consumer
                    .poll(PATIENCE)
                    .expect("a record within the patience")
                    .expect("the record can be read");
                next = message.offset() + 1;
                records.extend(record(&message));
            }
            records
        })
    }

    fn consumer(&self, group: &str) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", format!("{}{group}", self.prefix))
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer")
    }
}

/// A deletion holds nothing, and is not given.
fn record(message: &rdkafka::message::BorrowedMessage<'_>) -> Option<Record> {
    let payload = message.payload()?;
    let headers = message.headers().expect("an event has headers");
    let event_id = headers
        .iter()
        .find(|header| header.key == "ce_id")
        .and_then(|header| header.value)
        .expect("an event has an id");
    Some(Record {
        key: String::from_utf8_lossy(message.key().expect("an event has a key")).into_owned(),
        event_id: String::from_utf8_lossy(event_id).into_owned(),
        payload: serde_json::from_slice(payload).expect("an event is JSON"),
    })
}
