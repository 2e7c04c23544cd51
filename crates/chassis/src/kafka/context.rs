//! What the client library calls back: logs, statistics, rebalances. Quick, since the calls come from inside of a poll.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use prometheus::GaugeVec;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext, Rebalance},
    error::KafkaError,
};
use serde::Deserialize;

use crate::telemetry::metrics;

static LAG: LazyLock<GaugeVec> = LazyLock::new(|| {
    metrics::gauge(
        "kafka_consumer_lag",
        "Messages that a group has not handled yet, as this process sees it.",
        &["group", "topic"],
    )
});

/// Logs of clients without any other callback.
#[derive(Clone)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(error = %error, reason, "kafka client");
    }
}

fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, message, "kafka client");
        }
        // A broker that is away is an ordinary thing, repeated once a second.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(facility, message, "kafka client");
        }
        _ => tracing::debug!(facility, message, "kafka client"),
    }
}

/// The callbacks of a group member.
pub(super) struct Member {
    group: String,
    prefix: String,
    lag: AtomicI64,
    revoked: Mutex<HashSet<(String, i32)>>,
}

impl Member {
    pub(super) fn new(group: &str, prefix: &str) -> Self {
        Self {
            group: group.to_owned(),
            prefix: prefix.to_owned(),
            lag: AtomicI64::new(0),
            revoked: Mutex::default(),
        }
    }

    /// Messages that wait in the assigned partitions, as of the last statistics.
    pub(super) fn lag(&self) -> i64 {
        self.lag.load(Ordering::Relaxed)
    }

    /// Takes the partitions that were revoked since the last call, by their names on the broker.
    pub(super) fn take_revoked(&self) -> HashSet<(String, i32)> {
        std::mem::take(&mut *self.revoked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, reason, "kafka consumer");
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) else {
            return;
        };
        let mut total = 0;
        for (name, topic) in &statistics.topics {
            let lag: i64 = topic
                .partitions
                .values()
                .map(|partition| partition.consumer_lag.max(0))
                .sum();
            let name = name.strip_prefix(&self.prefix).unwrap_or(name);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a lag of 2^53 messages is not met"
            )]
            LAG.with_label_values(&[self.group.as_str(), name])
                .set(lag as f64);
            total += lag;
        }
        self.lag.store(total, Ordering::Relaxed);
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
            revoked.extend(
                partitions
                    .elements()
                    .iter()
                    .map(|one| (one.topic().to_owned(), one.partition())),
            );
        }
    }
}

/// The little that is read of the client's statistics.
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    topics: BTreeMap<String, TopicStatistics>,
}

#[derive(Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: BTreeMap<String, PartitionStatistics>,
}

#[derive(Deserialize)]
struct PartitionStatistics {
    #[serde(default)]
    consumer_lag: i64,
}
