//! How far the consumers are, and what they have refused.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::events::topics;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    metadata::MetadataPartition,
};

/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a broker may be there and not ready to answer.
const UNREADY: Duration = Duration::from_secs(30);

/// The pause before it is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// Who consumes what.
pub(crate) const GROUPS: [(&str, &[topics::Topic]); 6] = [
    ("pledge-campaigns", &[topics::CAMPAIGN]),
    ("pledge-donors", &[topics::USER]),
    ("pledge-payments", &[topics::PAYMENT]),
    ("payment", &[topics::PLEDGE, topics::CAMPAIGN]),
    (
        "totals",
        &[topics::CAMPAIGN, topics::PLEDGE, topics::PAYMENT],
    ),
    (
        "notification",
        &[topics::CONTACT, topics::CAMPAIGN, topics::PAYMENT],
    ),
];

/// What is left.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Partitions that were asked about, once per group.
    pub(super) asked: usize,
    /// What groups have not consumed, as `group: topic/partition, n behind`.
    pub(super) behind: Vec<String>,
    /// What was refused for good, as `topic/partition@offset`.
    pub(super) refused: Vec<String>,
}

/// Asks the broker what is left to be consumed, and what was refused.
pub(super) async fn ask(brokers: &str, prefix: &str) -> Result<Left> {
    let (brokers, prefix) = (brokers.to_owned(), prefix.to_owned());
    tokio::task::spawn_blocking(move || left(&brokers, &prefix)).await?
}

/// Each group has a client of its own, and all of them are asked at once.
fn left(brokers: &str, prefix: &str) -> Result<Left> {
    let mut whole = Left::default();
    let each: Vec<Result<Left>> = std::thread::scope(|scope| {
        let refused = scope.spawn(move || refused(brokers, prefix));
        let behind = GROUPS
            .map(|(group, topics)| scope.spawn(move || behind(brokers, prefix, group, topics)));
        let threads = behind.into_iter().chain([refused]);
        let joined = threads.map(|thread| match thread.join() {
            Ok(left) => left,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    for left in each {
        let left = left?;
        whole.asked += left.asked;
        whole.behind.extend(left.behind);
        whole.refused.extend(left.refused);
    }
    Ok(whole)
}

fn client(brokers: &str, group: &str) -> Result<BaseConsumer> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("client.id", "audit")
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()?;
    Ok(client)
}

fn behind(brokers: &str, prefix: &str, group: &str, topics: &[topics::Topic]) -> Result<Left> {
    let mut left = Left::default();
    let client = client(brokers, &format!("{prefix}{group}"))?;
    for topic in topics {
        let name = format!("{prefix}{}", topic.name);
        let partitions = partitions(&client, prefix, topic.name)?;
        let mut asked = TopicPartitionList::new();
        for (partition, ..) in &partitions {
            asked.add_partition(&name, *partition);
        }
        if partitions.is_empty() {
            continue;
        }
        let committed = answered(|| client.committed_offsets(asked.clone(), PATIENCE))
            .with_context(|| format!("how far is {group}?"))?;
        for (partition, from, to) in partitions {
            left.asked += 1;
            let at = committed.find_partition(&name, partition);
            // A group that has committed nothing begins with what is there.
            let at = match at.map(|at| at.offset()) {
                Some(Offset::Offset(at)) => at,
                _ => from,
            };
            if at < to {
                let behind = format!("{group}: {}/{partition}, {} behind", topic.name, to - at);
                left.behind.push(behind);
            }
        }
    }
    Ok(left)
}

fn refused(brokers: &str, prefix: &str) -> Result<Left> {
    let mut left = Left::default();
    let client = client(brokers, &format!("{prefix}audit"))?;
    for topic in &topics::ALL {
        let dlq = format!("{}.dlq", topic.name);
        for (partition, from, to) in partitions(&client, prefix, &dlq)? {
            let refused = (from..to).map(|offset| format!("{dlq}/{partition}@{offset}"));
            left.refused.extend(refused);
        }
    }
    Ok(left)
}

/// The partitions of a topic with their first and next offsets; none where there is no such topic.
pub(crate) fn partitions(
    consumer: &BaseConsumer,
    prefix: &str,
    topic: &str,
) -> Result<Vec<(i32, i64, i64)>> {
    let name = format!("{prefix}{topic}");
    let known = answered(|| numbers(consumer, &name))
        .with_context(|| format!("the broker does not tell of {topic}"))?;
    let mut partitions = Vec::new();
    for partition in known {
        let (from, to) = answered(|| consumer.fetch_watermarks(&name, partition, PATIENCE))
            .with_context(|| format!("the broker does not tell of {topic}/{partition}"))?;
        partitions.push((partition, from, to));
    }
    Ok(partitions)
}

/// The numbers of a topic's partitions; none where there is no such topic.
fn numbers(consumer: &BaseConsumer, topic: &str) -> KafkaResult<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let Some(known) = metadata.topics().iter().find(|one| one.name() == topic) else {
        return Ok(Vec::new());
    };
    match known.error().map(RDKafkaErrorCode::from) {
        None => Ok(known
            .partitions()
            .iter()
            .map(MetadataPartition::id)
            .collect()),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(Vec::new()),
        Some(error) => Err(KafkaError::MetadataFetch(error)),
    }
}

/// Asks until the broker is ready to answer.
fn answered<T>(ask: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    let began = Instant::now();
    loop {
        let answer = ask();
        let is_unready = answer.as_ref().is_err_and(is_passing);
        if !is_unready || began.elapsed() > UNREADY {
            return answer;
        }
        std::thread::sleep(AGAIN);
    }
}

/// Whether an error says no more than that the broker has just started, or is too busy to tell the controller that it is
/// there: it leads no partition for that moment, and the client takes it for gone, and heals by itself.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, CoordinatorLoadInProgress, CoordinatorNotAvailable,
        LeaderNotAvailable, NotCoordinator, NotLeaderForPartition, OperationTimedOut,
        UnknownPartition,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(
            AllBrokersDown
                | BrokerTransportFailure
                | CoordinatorLoadInProgress
                | CoordinatorNotAvailable
                | LeaderNotAvailable
                | NotCoordinator
                | NotLeaderForPartition
                | OperationTimedOut
                | UnknownPartition
        )
    )
}
