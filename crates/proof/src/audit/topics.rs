//! What the topics hold, from their beginning to their end as it was when the reading began.

use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use common::{
    events::topics,
    money::{Extras, Money},
    payment::State,
};
use foldhash::HashMap;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers},
};
use serde::Deserialize;
use uuid::Uuid;

use super::bench::Bench;
use super::told::{TOPICS, Told, Topics};
use super::{groups, sums};

/// How long the broker may be silent before its last record.
const SILENCE: Duration = Duration::from_secs(20);

/// Reads every topic, and lays the sums of the payments out on the bench.
pub(super) async fn lay_out(bench: &mut Bench, brokers: &str, prefix: &str) -> Result<Topics> {
    let (brokers, prefix) = (brokers.to_owned(), prefix.to_owned());
    let read = tokio::task::spawn_blocking(move || read(&brokers, &prefix));
    let (topics, payments) = read.await??;
    let into = "copy told_sums (campaign_id, currency, pledged, authorized, captured, refunded, disputed) from stdin";
    let sums = sums::of(payments.iter().flat_map(HashMap::values));
    let rows = sums
        .iter()
        .map(|((campaign, currency), sums)| sums.row(*campaign, currency));
    bench.fill(into, rows).await?;
    Ok(topics)
}

/// A partition to be read: its topic, its number, and where it begins and ends.
#[derive(Clone, Copy)]
struct Span {
    topic: usize,
    partition: i32,
    from: i64,
    to: i64,
}

/// The newest snapshots of payments.
type Payments = HashMap<Uuid, Snapshot>;

/// What a reader is reading.
struct Reader {
    topics: Topics,
    /// What is told, topic by topic.
    told: [Vec<Told>; TOPICS.len()],
    payments: Payments,
}

/// What every snapshot has.
#[derive(Deserialize)]
struct Versioned {
    version: i64,
}

/// A payment as its topic tells. Amounts are minor units of the whole charge.
#[derive(Deserialize)]
pub(super) struct Snapshot {
    payment_id: Uuid,
    version: i64,
    pub(super) campaign_id: Uuid,
    pub(super) state: State,
    pub(super) amount: Money,
    #[serde(default)]
    pub(super) extras: Extras,
    pub(super) authorized: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) disputed: i64,
}

fn read(brokers: &str, prefix: &str) -> Result<(Topics, Vec<Payments>)> {
    let consumer = consumer(brokers, prefix)?;
    let (mut whole, mut payments) = (Topics::default(), Vec::new());
    let readers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut shares = vec![Vec::new(); readers];
    for (topic, one) in TOPICS.iter().enumerate() {
        let partitions = groups::partitions(&consumer, prefix, one.name)?;
        if !one.compacted && partitions.iter().any(|(_, from, _)| *from > 0) {
            whole.forgetful.push(one.name);
        }
        for (n, (partition, from, to)) in partitions.into_iter().enumerate() {
            shares[n % readers].push(Span {
                topic,
                partition,
                from,
                to,
            });
        }
    }
    let blank = &whole.clone();
    let read: Vec<Result<(Topics, Payments)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || read_share(brokers, prefix, &share, blank.clone())))
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    for read in read {
        let (topics, newest) = read?;
        whole.add(topics);
        payments.push(newest);
    }
    Ok((whole, payments))
}

fn consumer(brokers: &str, prefix: &str) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("client.id", "audit")
        // Nothing is committed under this name, and nobody joins.
        .set("group.id", format!("{prefix}audit"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.queue.backoff.ms", "2")
        .set("fetch.message.max.bytes", "4194304")
        .set("queued.max.messages.kbytes", "65536")
        .create()?;
    Ok(consumer)
}

/// Reads partitions, all at once, until each has come to its end, and judges what they tell.
fn read_share(
    brokers: &str,
    prefix: &str,
    share: &[Span],
    topics: Topics,
) -> Result<(Topics, Payments)> {
    let mut reader = Reader {
        topics,
        told: Default::default(),
        payments: Payments::default(),
    };
    let mut open: Vec<(String, Span)> = Vec::new();
    let mut from = TopicPartitionList::new();
    for span in share {
        if span.from < span.to {
            let name = format!("{prefix}{}", TOPICS[span.topic].name);
            from.add_partition_offset(&name, span.partition, Offset::Offset(span.from))?;
            open.push((name, *span));
        }
    }
    let consumer = consumer(brokers, prefix)?;
    consumer.assign(&from)?;
    let mut heard = Instant::now();
    while !open.is_empty() {
        match consumer.poll(SILENCE.saturating_sub(heard.elapsed())) {
            None => bail!("the broker went silent before the end of a topic"),
            Some(Ok(message)) => {
                heard = Instant::now();
                let is_of = |(topic, span): &(String, Span)| {
                    span.partition == message.partition() && topic == message.topic()
                };
                let Some(at) = open.iter().position(is_of) else {
                    continue;
                };
                let span = open[at].1;
                if message.offset() < span.to {
                    reader.hear(span, &message);
                }
                if message.offset() + 1 >= span.to {
                    open.swap_remove(at);
                }
            }
            // The last records of a compacted topic may be gone, and the end with them.
            Some(Err(KafkaError::PartitionEOF(_))) => {
                let reached = consumer.position()?;
                open.retain(|(topic, span)| {
                    let at = reached.find_partition(topic, span.partition);
                    let at = at.and_then(|at| at.offset().to_raw()).unwrap_or(-1);
                    at < span.to
                });
            }
            Some(Err(error)) if groups::is_passing(&error) && heard.elapsed() < SILENCE => {}
            Some(Err(error)) => return Err(error).context("cannot read the topics"),
        }
    }
    for (topic, told) in reader.told.into_iter().enumerate() {
        reader.topics.judge(topic, told);
    }
    Ok((reader.topics, reader.payments))
}

impl Reader {
    fn hear(&mut self, span: Span, message: &BorrowedMessage<'_>) {
        self.topics.records += 1;
        let Some(payload) = message.payload() else {
            // A deletion: what it deletes was told before.
            return;
        };
        if self.note(span, message, payload).is_none() {
            let at = format!(
                "{}/{}@{}",
                TOPICS[span.topic].name,
                span.partition,
                message.offset()
            );
            self.topics.unreadable.push(at);
        }
    }

    fn note(&mut self, span: Span, message: &BorrowedMessage<'_>, payload: &[u8]) -> Option<()> {
        let topic = &TOPICS[span.topic];
        let (id, version) = if topic.name == topics::PAYMENT.name {
            let snapshot: Snapshot = serde_json::from_slice(payload).ok()?;
            let known = (snapshot.payment_id, snapshot.version);
            match self.payments.entry(known.0) {
                Entry::Vacant(first) => _ = first.insert(snapshot),
                Entry::Occupied(newest) if newest.get().version >= known.1 => {}
                Entry::Occupied(mut older) => _ = older.insert(snapshot),
            }
            known
        } else {
            let Versioned { version } = serde_json::from_slice(payload).ok()?;
            let key = std::str::from_utf8(message.key()?).ok()?;
            (key.parse().ok()?, version)
        };
        let headers = message.headers()?;
        let event = headers.iter().find(|header| header.key == "ce_id")?;
        let event = std::str::from_utf8(event.value?).ok()?.parse().ok()?;
        self.told[span.topic].push(Told { id, version, event });
        Some(())
    }
}
