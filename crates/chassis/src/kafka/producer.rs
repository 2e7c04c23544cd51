//! The idempotent producer: a whole batch is queued first and awaited then, and keeps its order per key.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _},
};

use super::{Config, client::Client, context::Quiet};

/// How long the end of a process waits for messages that are still under way.
const FLUSH: Duration = Duration::from_secs(5);

type Sender = FutureProducer<Quiet>;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Topic without the prefix.
    pub topic: String,
    /// Messages with the same key keep their order.
    pub key: String,
    /// Payload; an empty one deletes the key from a compacted topic.
    pub payload: Vec<u8>,
    /// Headers.
    pub headers: Vec<(String, String)>,
}

/// The producer of a process; clones share it.
#[derive(Clone)]
pub struct Producer(Arc<Shared>);

struct Shared {
    config: Config,
    client: RwLock<Client<Sender>>,
}

impl Producer {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let client = RwLock::new(Client::new(connect(config)?));
        Ok(Self(Arc::new(Shared {
            config: config.clone(),
            client,
        })))
    }

    /// The client library's producer.
    pub(super) fn client(&self) -> Sender {
        let client = self.0.client.read();
        Sender::clone(&client.unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends records and waits until every one of them is acknowledged by all replicas or has failed; results come
    /// in the order of the records. While the broker is away this waits, up to five minutes. Records of one key
    /// that follow a failed one may have been sent: publish from the failed one again.
    pub async fn send_all(&self, records: Vec<Record>) -> Vec<Result<(), KafkaError>> {
        let client = self.client();
        let mut results = Vec::with_capacity(records.len());
        let mut under_way = Vec::with_capacity(records.len());
        // Deliveries before this one have a result already.
        let mut awaited = 0;
        for record in records {
            let topic = self.0.config.prefixed(&record.topic);
            let delivery = loop {
                let attempt = client.send_result(prepare(&topic, &record));
                match attempt {
                    Ok(delivery) => break Ok(delivery),
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        // The queue is shared: where none of ours is in it, others are, and they drain.
                        if let Some(slot) = under_way.get_mut(awaited) {
                            results.push(settle(slot).await);
                            awaited += 1;
                        } else {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                    Err((error, _)) => break Err(error),
                }
            };
            under_way.push(Some(delivery));
        }
        for slot in &mut under_way[awaited..] {
            results.push(settle(slot).await);
        }
        if let Some((code, reason)) = client.client().fatal_error() {
            self.recreate(&client, code, &reason);
        }
        results
    }

    /// Replaces a client that refuses all further work, unless another caller has done so.
    fn recreate(&self, broken: &Sender, code: RDKafkaErrorCode, reason: &str) {
        let mut client = self
            .0
            .client
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if client.client().native_ptr() != broken.client().native_ptr() {
            return;
        }
        tracing::error!(code = %code, reason, "kafka producer failed for good, making a new one");
        match connect(&self.0.config) {
            Ok(fresh) => *client = Client::new(fresh),
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "a new kafka producer cannot be made"
            ),
        }
    }
}

impl Drop for Shared {
    /// Dropping the client would throw away what is queued, so that it is flushed before; elsewhere, since
    /// that blocks.
    fn drop(&mut self) {
        let client = self
            .client
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let client = Client::new(Sender::clone(client));
        let flush = move || {
            if client.in_flight_count() > 0
                && let Err(error) = client.flush(FLUSH)
            {
                tracing::warn!(error = %error, "messages were still under way at the end");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(flush)),
            Err(_) => flush(),
        }
    }
}

fn connect(config: &Config) -> anyhow::Result<Sender> {
    Ok(config.producer().create_with_context(Quiet)?)
}

fn prepare<'a>(topic: &'a str, record: &'a Record) -> FutureRecord<'a, str, [u8]> {
    let headers = record.headers.iter().fold(
        OwnedHeaders::new_with_capacity(record.headers.len()),
        |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        },
    );
    FutureRecord::to(topic)
        .key(record.key.as_str())
        .payload(record.payload.as_slice())
        .headers(headers)
}

/// Waits for one delivery and empties its slot.
async fn settle(slot: &mut Option<Result<DeliveryFuture, KafkaError>>) -> Result<(), KafkaError> {
    match slot.take() {
        Some(Ok(delivery)) => match delivery.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(error),
            Err(_) => Err(KafkaError::Canceled),
        },
        Some(Err(error)) => Err(error),
        None => Err(KafkaError::Canceled),
    }
}
