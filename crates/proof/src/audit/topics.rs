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
use super::{groups, sums};

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
    /// How many aggregates there are.
    pub(super) aggregates: usize,
    /// Aggregates of which a version before the newest was not told, as `topic/id`, in topics that hold all that they
    /// were ever given.
    pub(super) gaps: Vec<String>,
    /// Topics whose oldest records are gone.
    pub(super) forgetful: Vec<&'static str>,
    /// Records that could not be read, as `topic/partition@offset`.
    pub(super) unreadable: Vec<String>,
}

/// Into which table of the bench the newest versions of each topic go.
const TABLES: [(topics::Topic, &str); 6] = [
    (topics::USER, "copy told_user (id, version) from stdin"),
    (
        topics::CONTACT,
        "copy told_contact (id, version) from stdin",
    ),
    (
        topics::CAMPAIGN,
        "copy told_campaign (id, version) from stdin",
    ),
    (topics::PLEDGE, "copy told_pledge (id, version) from stdin"),
    (
        topics::PAYMENT,
        "copy told_payment (id, version) from stdin",
    ),
    (topics::TOTALS, "copy told_totals (id, version) from stdin"),
];

/// Topics whose aggregates have no gap in their versions: of a campaign or a contact only the newest is kept, and not
/// every change of a total is announced.
const GAPLESS: [topics::Topic; 3] = [topics::USER, topics::PLEDGE, topics::PAYMENT];

/// Reads every topic and lays the newest versions and the sums of the payments out on the bench.
pub(super) async fn lay_out(bench: &mut Bench, brokers: &str, prefix: &str) -> Result<Topics> {
    let (brokers, prefix) = (brokers.to_owned(), prefix.to_owned());
    let read = tokio::task::spawn_blocking(move || read(&brokers, &prefix));
    let parts = read.await??;
    let mut whole = Topics::default();
    for part in &parts {
        whole.add(&part.topics);
        whole.aggregates += part.told.iter().map(HashMap::len).sum::<usize>();
    }
    whole.forgetful.sort_unstable();
    whole.forgetful.dedup();
    for (n, (topic, into)) in TABLES.iter().enumerate() {
        let told = || parts.iter().flat_map(|part| &part.told[n]);
        let rows = told().map(|(id, told)| format!("{id}\t{}", told.newest()));
        bench.fill(into, rows).await?;
        if whole.remembers(topic) && GAPLESS.iter().any(|one| one.name == topic.name) {
            let gaps = told().filter(|(_, told)| told.has_gap());
            let gaps = gaps.map(|(id, _)| format!("{}/{id}", topic.name));
            whole.gaps.extend(gaps);
        }
    }
    let payments = parts.iter().flat_map(|part| part.payments.values());
    let into = "copy told_sums (campaign_id, currency, pledged, authorized, captured, refunded, disputed) from stdin";
    let sums = sums::of(payments);
    let rows = sums
        .iter()
        .map(|((campaign, currency), sums)| sums.row(*campaign, currency));
    bench.fill(into, rows).await?;
    Ok(whole)
}

impl Topics {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.copies += other.copies;
        self.disorder.extend_from_slice(&other.disorder);
        self.contradictions.extend_from_slice(&other.contradictions);
        self.forgetful.extend_from_slice(&other.forgetful);
        self.unreadable.extend_from_slice(&other.unreadable);
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
    /// What was told of each aggregate, topic by topic.
    told: [HashMap<Uuid, Told>; TABLES.len()],
    payments: HashMap<Uuid, Snapshot>,
}

/// The versions that were told of an aggregate, and by which events, in the order of the topic.
#[derive(Default)]
struct Told(Vec<(i64, Uuid)>);

impl Told {
    fn newest(&self) -> i64 {
        let versions = self.0.iter().map(|(version, _)| *version);
        versions.max().unwrap_or_default()
    }

    /// Versions begin at 1, so without a gap the newest is their number.
    fn has_gap(&self) -> bool {
        let mut versions: Vec<i64> = self.0.iter().map(|(version, _)| *version).collect();
        versions.sort_unstable();
        versions.dedup();
        versions.len() as u64 != self.newest().unsigned_abs()
    }
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

fn read(brokers: &str, prefix: &str) -> Result<Vec<Part>> {
    let consumer = consumer(brokers, prefix)?;
    let mut spans = Vec::new();
    for (topic, (one, _)) in TABLES.iter().enumerate() {
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
        let topic = &TABLES[span.topic].0;
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
                TABLES[span.topic].0.name,
                span.partition,
                message.offset()
            );
            self.topics.unreadable.push(at);
        }
    }

    fn note(&mut self, span: Span, message: &BorrowedMessage<'_>, payload: &[u8]) -> Option<()> {
        let topic = &TABLES[span.topic].0;
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
        let told = self.told[span.topic].entry(id).or_default();
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
