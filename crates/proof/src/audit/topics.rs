//! What the topics hold, from their beginning to their end as it was when the reading began.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::{
    events::topics,
    money::{Extras, Money},
    payment::State,
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers},
};
use serde::Deserialize;
use uuid::Uuid;

use super::bench::Bench;
use super::groups;

/// How long the broker may be silent before its last record.
const SILENCE: Duration = Duration::from_secs(20);

/// What the topics say, beside what lies on the bench.
#[derive(Default)]
pub(super) struct Topics {
    /// Records that were read.
    pub(super) records: u64,
    /// Records that were there twice, which is allowed.
    pub(super) copies: u64,
    /// Aggregates with a version below one that was told before, as `topic/id`.
    pub(super) disorder: Vec<String>,
    /// Aggregates of which one version was told by two different events, as `topic/id@version`.
    pub(super) contradictions: Vec<String>,
    /// Topics whose oldest records are gone.
    pub(super) forgetful: Vec<&'static str>,
    /// Records that could not be read, as `topic/partition@offset`.
    pub(super) unreadable: Vec<String>,
}

/// Reads every topic and lays the newest snapshots out on the bench.
pub(super) async fn lay_out(bench: &mut Bench, brokers: &str, prefix: &str) -> Result<Topics> {
    let (brokers, prefix) = (brokers.to_owned(), prefix.to_owned());
    let read = tokio::task::spawn_blocking(move || read(&brokers, &prefix));
    let parts = read.await??;
    let mut whole = Topics::default();
    for part in parts {
        let into = "copy told (topic, id, version, versions) from stdin";
        let told = part.aggregates.iter().map(|((topic, id), told)| {
            let (newest, versions) = told.summary();
            format!("{}\t{id}\t{newest}\t{versions}", topics::ALL[*topic].name)
        });
        bench.fill(into, told).await?;
        let into = "copy told_payments (payment_id, pledge_id, campaign_id, donor_ref, version, state, currency, amount,
                    extras, authorized, captured, refunded, disputed) from stdin";
        bench.fill(into, part.payments.values().map(row)).await?;
        whole.add(part.topics);
    }
    whole.forgetful.sort_unstable();
    whole.forgetful.dedup();
    Ok(whole)
}

impl Topics {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.copies += other.copies;
        self.disorder.extend(other.disorder);
        self.contradictions.extend(other.contradictions);
        self.forgetful.extend(other.forgetful);
        self.unreadable.extend(other.unreadable);
    }

    /// Whether a topic still holds all that it was ever given.
    pub(super) fn remembers(&self, topic: &topics::Topic) -> bool {
        !self.forgetful.contains(&topic.name)
    }
}

/// A partition to be read: its topic, its number, and where it begins and ends.
#[derive(Clone, Copy)]
struct Span {
    topic: usize,
    partition: i32,
    from: i64,
    to: i64,
}

/// What one reader has read. A key has one partition, and so one reader.
#[derive(Default)]
struct Part {
    topics: Topics,
    aggregates: HashMap<(usize, Uuid), Told>,
    payments: HashMap<Uuid, Snapshot>,
}

/// The versions that were told of an aggregate, and by which events, in the order of the topic.
#[derive(Default)]
struct Told(Vec<(i64, Uuid)>);

impl Told {
    /// The newest version, and how many there are.
    fn summary(&self) -> (i64, usize) {
        let mut versions: Vec<i64> = self.0.iter().map(|(version, _)| *version).collect();
        versions.sort_unstable();
        versions.dedup();
        (versions.last().copied().unwrap_or_default(), versions.len())
    }
}

/// What every snapshot has.
#[derive(Deserialize)]
struct Versioned {
    version: i64,
}

/// A payment as its topic tells.
#[derive(Deserialize)]
struct Snapshot {
    payment_id: Uuid,
    pledge_id: Uuid,
    campaign_id: Uuid,
    donor_ref: String,
    version: i64,
    state: State,
    amount: Money,
    authorized: i64,
    captured: i64,
    #[serde(default)]
    extras: Extras,
    refunded: i64,
    disputed: i64,
}

fn read(brokers: &str, prefix: &str) -> Result<Vec<Part>> {
    let consumer = consumer(brokers, prefix)?;
    let mut spans = Vec::new();
    for (topic, one) in topics::ALL.iter().enumerate() {
        for (partition, from, to) in groups::partitions(&consumer, prefix, one.name)? {
            spans.push(Span {
                topic,
                partition,
                from,
                to,
            });
        }
    }
    let readers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut shares = vec![Vec::new(); readers];
    for (n, span) in spans.into_iter().enumerate() {
        shares[n % readers].push(span);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || read_share(brokers, prefix, &share)))
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(part) => part,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
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

/// Reads partitions, all at once, until each has come to its end.
fn read_share(brokers: &str, prefix: &str, share: &[Span]) -> Result<Part> {
    let mut part = Part::default();
    let mut open: HashMap<(String, i32), Span> = HashMap::new();
    let mut from = TopicPartitionList::new();
    for span in share {
        let topic = &topics::ALL[span.topic];
        if span.from > 0 && !topic.compacted {
            part.topics.forgetful.push(topic.name);
        }
        if span.from < span.to {
            let name = format!("{prefix}{}", topic.name);
            from.add_partition_offset(&name, span.partition, Offset::Offset(span.from))?;
            open.insert((name, span.partition), *span);
        }
    }
    let consumer = consumer(brokers, prefix)?;
    consumer.assign(&from)?;
    let mut key = (String::new(), 0);
    while !open.is_empty() {
        match consumer.poll(SILENCE) {
            None => bail!("the broker went silent before the end of a topic"),
            Some(Ok(message)) => {
                key.0.clear();
                key.0.push_str(message.topic());
                key.1 = message.partition();
                let Some(span) = open.get(&key).copied() else {
                    continue;
                };
                if message.offset() < span.to {
                    part.hear(span, &message);
                }
                if message.offset() + 1 >= span.to {
                    open.remove(&key);
                }
            }
            // The last records of a compacted topic may be gone, and the end with them.
            Some(Err(KafkaError::PartitionEOF(_))) => {
                let reached = consumer.position()?;
                open.retain(|(topic, partition), span| {
                    let at = reached.find_partition(topic, *partition);
                    let at = at.and_then(|at| at.offset().to_raw()).unwrap_or(-1);
                    at < span.to
                });
            }
            Some(Err(error)) => return Err(error).context("cannot read the topics"),
        }
    }
    Ok(part)
}

impl Part {
    fn hear(&mut self, span: Span, message: &BorrowedMessage<'_>) {
        self.topics.records += 1;
        let Some(payload) = message.payload() else {
            // A deletion: what it deletes was told before.
            return;
        };
        if self.note(span, message, payload).is_none() {
            let at = format!(
                "{}/{}@{}",
                topics::ALL[span.topic].name,
                span.partition,
                message.offset()
            );
            self.topics.unreadable.push(at);
        }
    }

    fn note(&mut self, span: Span, message: &BorrowedMessage<'_>, payload: &[u8]) -> Option<()> {
        let topic = &topics::ALL[span.topic];
        let (id, version) = if topic.name == topics::PAYMENT.name {
            let snapshot: Snapshot = serde_json::from_slice(payload).ok()?;
            let known = (snapshot.payment_id, snapshot.version);
            let newest = self.payments.get(&known.0);
            if newest.is_none_or(|newest| newest.version < known.1) {
                self.payments.insert(known.0, snapshot);
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
        let told = self.aggregates.entry((span.topic, id)).or_default();
        if told.0.contains(&(version, event)) {
            self.topics.copies += 1;
            return Some(());
        }
        if told.0.iter().any(|(known, _)| *known == version) {
            let what = format!("{}/{id}@{version}", topic.name);
            self.topics.contradictions.push(what);
        } else if told.0.iter().any(|(known, _)| *known > version) {
            self.topics.disorder.push(format!("{}/{id}", topic.name));
        }
        told.0.push((version, event));
        Some(())
    }
}

fn row(payment: &Snapshot) -> String {
    format!(
        "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
        payment.payment_id,
        payment.pledge_id,
        payment.campaign_id,
        payment.donor_ref,
        payment.version,
        payment.state.as_str(),
        payment.amount.currency.as_str(),
        payment.amount.minor,
        payment.extras.sum(),
        payment.authorized,
        payment.captured,
        payment.refunded,
        payment.disputed,
    )
}
