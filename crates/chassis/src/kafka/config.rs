//! How to reach the broker, and the client settings that all of our clients share.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::env::Env;

/// A topic as the code names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name without the prefix.
    pub name: &'static str,
    /// Whether only the last message of each key is kept.
    pub compacted: bool,
}

/// Where the broker is and how this process uses it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Comma-separated `host:port`.
    pub brokers: String,
    /// Names this process in the broker's logs.
    pub client_id: String,
    /// Put before every topic and group; empty in production.
    pub prefix: String,
    /// Partitions of a topic that this process creates.
    pub partitions: i32,
    /// Copies of a topic that this process creates.
    pub replication: i32,
    /// Makes this process a static member of its groups, which keeps its partitions over a quick restart.
    pub instance: Option<String>,
    /// Pauses before each repetition of a message with a permanent fault; afterwards it goes to the `.dlq`.
    pub retry_delays: Vec<Duration>,
    /// The first pause after a transient fault; it doubles up to 30 s.
    pub backoff: Duration,
    /// Silence after which a group member that has a lag is taken for stuck, and replaced.
    pub silence: Duration,
}

impl Config {
    /// Reads `KAFKA_BROKERS`, `KAFKA_TOPIC_PREFIX`, `KAFKA_PARTITIONS`, `KAFKA_REPLICATION`, `KAFKA_INSTANCE` and
    /// `KAFKA_SILENCE_MS` (default 60,000).
    pub fn read(env: &mut Env, client_id: &str) -> Self {
        Self {
            brokers: env.string("KAFKA_BROKERS"),
            client_id: client_id.to_owned(),
            prefix: env.optional("KAFKA_TOPIC_PREFIX").unwrap_or_default(),
            partitions: env.parsed("KAFKA_PARTITIONS", 12),
            replication: env.parsed("KAFKA_REPLICATION", 1),
            instance: env.optional("KAFKA_INSTANCE"),
            retry_delays: [1, 2, 4].map(Duration::from_secs).to_vec(),
            backoff: Duration::from_millis(100),
            silence: Duration::from_millis(env.parsed("KAFKA_SILENCE_MS", 60_000)),
        }
    }

    /// The name on the broker.
    pub(super) fn prefixed(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The name in the code.
    pub(super) fn unprefixed<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(&self.prefix).unwrap_or(name)
    }

    /// Settings of every client.
    pub(super) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("socket.keepalive.enable", "true")
            .set("log.connection.close", "false")
            // A broker that comes back is found within a second, not ten.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000");
        client
    }

    /// Settings of the producer.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut client = self.client();
        client
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "2")
            .set("batch.num.messages", "10000")
            .set("compression.type", "lz4")
            // The partitioner of the Java clients, so that every tool finds a key where we put it.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", "20000")
            .set("message.timeout.ms", "300000")
            .set("allow.auto.create.topics", "false");
        client
    }

    /// Settings of a consumer, whatever it does with offsets.
    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut client = self.client();
        client
            .set("group.id", self.prefixed(group))
            .set("allow.auto.create.topics", "false")
            // Small buffers: the messages wait as well at the broker.
            .set("queued.min.messages", "2000")
            .set("queued.max.messages.kbytes", "4096")
            // A full buffer is looked at again soon; the default of a second would cap the throughput.
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.wait.max.ms", "100")
            .set("max.poll.interval.ms", "300000")
            .set("topic.metadata.refresh.interval.ms", "60000");
        client
    }

    /// Settings of a member of a group.
    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let mut client = self.consumer(group);
        // The lag is known from statistics, so these come more often than a silence is judged.
        let statistics = (self.silence / 6).as_millis().clamp(100, 10_000);
        client
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "1000")
            // Only what took effect is stored, and only what is stored is committed.
            .set("enable.auto.offset.store", "false")
            // A new group begins with history; the client's default would skip it.
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "10000")
            .set("statistics.interval.ms", statistics.to_string());
        if let Some(instance) = &self.instance {
            client.set("group.instance.id", format!("{instance}.{group}"));
        }
        client
    }
}
