//! The groups' places: behind everything that was made up, so that no service works through it again.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

use crate::audit::{GROUPS, partitions};

/// How long a group may keep members that have just died: their session's time, and a little.
const PATIENCE: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(500);

/// Commits the ends of the topics for every group.
pub(super) fn commit(brokers: &str, prefix: &str) -> Result<()> {
    for (group, topics) in GROUPS {
        let group = format!("{prefix}{group}");
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("client.id", "fill")
            .set("group.id", &group)
            .set("enable.auto.commit", "false")
            .create()?;
        let mut ends = TopicPartitionList::new();
        for topic in topics {
            let name = format!("{prefix}{}", topic.name);
            for (partition, _, end) in partitions(&consumer, prefix, topic.name)? {
                ends.add_partition_offset(&name, partition, Offset::Offset(end))?;
            }
        }
        let began = Instant::now();
        while let Err(error) = consumer.commit(&ends, CommitMode::Sync) {
            if began.elapsed() > PATIENCE {
                bail!("group {group} still has members: {error}");
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}
