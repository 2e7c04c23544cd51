//! Facts between services: an idempotent producer, batch consumers that never lose a message, and live tails.
//!
//! Topic names in this API are the ones that the code uses. The prefix that separates environments (and tests) on
//! one broker is put before topics and groups at this border and taken off again.

mod admin;
mod client;
mod config;
mod consumer;
mod context;
mod history;
mod inlet;
mod message;
mod producer;
mod retry;
mod tail;

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use rdkafka::producer::Producer as _;

pub use config::{Config, Topic};
pub use message::{Fault, Message};
pub use producer::{Producer, Record};
pub use rdkafka::error::KafkaError;

use crate::lifecycle::Lifecycle;

/// What a service does with what it consumes.
pub trait Handler: Send + Sync + 'static {
    /// How long a batch of a group that is not full waits for more. It costs a transaction, whether it holds one message
    /// or a thousand: who is not waited for takes more at once.
    const GATHER: Duration = Duration::from_millis(15);

    /// Handles messages of one poll, in order per partition and so in order per key.
    ///
    /// `Ok` means that every message of the batch has taken effect; their offsets are stored then. A batch can come
    /// again, whole or in part, after a fault, a crash or a rebalance: handlers must be idempotent. A compacted
    /// topic's deletions come with an empty payload.
    fn handle(&self, batch: &[Message]) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// The broker as one process sees it; clones share the producer.
#[derive(Clone)]
pub struct Kafka {
    config: Config,
    producer: Arc<OnceLock<Producer>>,
}

impl Kafka {
    /// Prepares access to the broker; nothing is contacted yet.
    pub fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            producer: Arc::default(),
        }
    }

    /// Makes sure that the topics and their `.dlq` exist. With the broker away it returns after a moment and goes on
    /// trying in the background, so that it never delays readiness.
    pub async fn ensure(&self, topics: &[Topic]) {
        admin::ensure(&self.config, topics).await;
    }

    /// Creates the topics and their `.dlq`, where they do not exist, in one attempt.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub async fn create(&self, topics: &[Topic]) -> anyhow::Result<()> {
        admin::create(&self.config, topics).await
    }

    /// Hands every message of `topics` to `handler`, in a task of `life`, as the consumer group `group`.
    ///
    /// A transient fault pauses the group's consumption here and repeats the batch, for ever. A permanent fault is
    /// narrowed down to the messages that cause it; each is repeated after [`Config::retry_delays`] and then goes
    /// to `<topic>.dlq`.
    pub fn consume<H: Handler>(&self, group: &str, topics: &[Topic], handler: H, life: &Lifecycle) {
        let consumer = consumer::Consumer::new(self.clone(), group, topics, handler, life.clone());
        life.spawn("consumer", consumer.run());
    }

    /// Hands messages that arrive from now on to `handler`, to every process its own copy, without any retry: for
    /// live feeds, where the next value replaces a lost one.
    pub fn tail<H: Handler>(&self, topics: &[Topic], handler: H, life: &Lifecycle) {
        life.spawn(
            "tail",
            tail::run(self.config.clone(), topics.to_vec(), handler, life.clone()),
        );
    }

    /// What `hear` makes of every message of a topic since a moment, in order per partition, up to the topic's present
    /// end. A message that it cannot read is passed over.
    ///
    /// # Errors
    /// When the broker is away.
    pub async fn recall<T: Default + Send + 'static>(
        &self,
        topic: Topic,
        since: DateTime<Utc>,
        hear: fn(&mut T, &Message) -> Result<(), Fault>,
    ) -> anyhow::Result<T> {
        let config = self.config.clone();
        let read = blocking(move || history::recall(&config, topic, since, hear));
        read.await.context("the reader panicked")?
    }

    /// Has a group begin again with what came since a moment, once the last of its members has gone.
    ///
    /// # Errors
    /// When the broker is away, or somebody still consumes as this group after a minute.
    pub async fn rewind(
        &self,
        group: &'static str,
        topics: &[Topic],
        since: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let (config, topics) = (self.config.clone(), topics.to_vec());
        let moved = blocking(move || history::rewind(&config, group, &topics, since));
        moved.await.context("the client panicked")?
    }

    /// The producer of this process.
    ///
    /// # Errors
    /// When the configuration is not one that the client accepts.
    pub fn producer(&self) -> anyhow::Result<Producer> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer.clone());
        }
        let producer = Producer::new(&self.config)?;
        Ok(self.producer.get_or_init(|| producer).clone())
    }

    /// Whether the broker answers within a second.
    pub async fn healthy(&self) -> bool {
        let Ok(producer) = self.producer() else {
            return false;
        };
        let topic = self.config.prefixed("health");
        let asked = blocking(move || {
            let client = producer.client();
            // The topic need not exist: an answer about it is an answer.
            client
                .client()
                .fetch_metadata(Some(&topic), Duration::from_secs(1))
                .is_ok()
        });
        asked.await.unwrap_or(false)
    }
}

/// Runs a blocking call of the client library where it stops no other task; `None` when it panicked.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(call).await.ok()
}
