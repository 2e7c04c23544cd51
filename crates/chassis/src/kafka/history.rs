//! What topics hold since a moment, for a process whose database is older than what was told: it reads what it has
//! forgotten, and lets its groups begin there again.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    metadata::MetadataTopic,
    topic_partition_list::TopicPartitionListElem,
};

use super::{Config, Fault, Message, Topic, client::Client};

/// How long the broker may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the broker may be silent before the end of a topic.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the members of a group may take to be forgotten: longer than their session.
const GONE: Duration = Duration::from_mins(1);
/// Between two tries to move a group.
const PAUSE: Duration = Duration::from_millis(500);

/// See [`Kafka::recall`](super::Kafka::recall). Blocks.
pub(super) fn recall<T: Default>(
    config: &Config,
    topic: Topic,
    since: DateTime<Utc>,
    hear: fn(&mut T, &Message) -> Result<(), Fault>,
) -> anyhow::Result<T> {
    let mut heard = T::default();
    // Nothing is committed under this name, and nobody joins.
    let client: BaseConsumer = config
        .consumer(&format!("{}.recall", config.client_id))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let client = Client::new(client);
    let begins = offsets(&client, config, &[topic], since)?;
    let partitions = begins.elements();
    let partitions = partitions.iter().map(TopicPartitionListElem::partition);
    let mut open: HashSet<i32> = partitions.collect();
    client.assign(&begins)?;
    while !open.is_empty() {
        match client.poll(SILENCE) {
            Some(Ok(message)) => {
                let message = Message::copy(&message, topic.name);
                if let Err(fault) = hear(&mut heard, &message) {
                    let Message {
                        partition, offset, ..
                    } = message;
                    tracing::warn!(topic = topic.name, partition, offset, error = %fault, "a message says nothing");
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => return Err(error).context("the topic cannot be read"),
            None => bail!("the broker went silent before the end of {}", topic.name),
        }
    }
    Ok(heard)
}

/// See [`Kafka::rewind`](super::Kafka::rewind). Blocks.
pub(super) fn rewind(
    config: &Config,
    group: &str,
    topics: &[Topic],
    since: DateTime<Utc>,
) -> anyhow::Result<()> {
    let client: BaseConsumer = config.consumer(group).create()?;
    let client = Client::new(client);
    let begins = offsets(&client, config, topics, since)?;
    let asked = std::time::Instant::now();
    loop {
        match client.commit(&begins, CommitMode::Sync) {
            Ok(()) => return Ok(()),
            Err(KafkaError::ConsumerCommit(code)) if is_occupied(code) => {
                ensure!(
                    asked.elapsed() < GONE,
                    "the group {group} has members: end every process of the service first"
                );
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error).with_context(|| format!("the group {group}")),
        }
    }
}

/// The broker lets strangers move a group only once its last member has gone.
const fn is_occupied(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::RebalanceInProgress
    )
}

/// The first offset of each partition since a moment; its end where nothing came.
fn offsets(
    client: &BaseConsumer,
    config: &Config,
    topics: &[Topic],
    since: DateTime<Utc>,
) -> anyhow::Result<TopicPartitionList> {
    let mut asked = TopicPartitionList::new();
    for topic in topics {
        let name = config.prefixed(topic.name);
        let metadata = client.fetch_metadata(Some(&name), PATIENCE)?;
        let known = metadata.topics().iter().find(|known| known.name() == name);
        for partition in known.map(MetadataTopic::partitions).unwrap_or_default() {
            let at = Offset::Offset(since.timestamp_millis());
            asked.add_partition_offset(&name, partition.id(), at)?;
        }
    }
    let mut found = TopicPartitionList::new();
    for at in client.offsets_for_times(asked, PATIENCE)?.elements() {
        at.error()?;
        let begin = if let offset @ Offset::Offset(_) = at.offset() {
            offset
        } else {
            let (_, end) = client.fetch_watermarks(at.topic(), at.partition(), PATIENCE)?;
            Offset::Offset(end)
        };
        found.add_partition_offset(at.topic(), at.partition(), begin)?;
    }
    Ok(found)
}
