//! Topics are created by whoever needs them first; "already exists" is success.

use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    error::RDKafkaErrorCode,
    metadata::MetadataPartition,
};
use tokio::time::{sleep, timeout};

use super::{Config, Topic, blocking, client::Client, context::Quiet};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long [`ensure`] lets its caller wait for a broker that is there.
const MOMENT: Duration = Duration::from_millis(250);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at a topic that was just created.
const LOOK: Duration = Duration::from_millis(10);

/// See [`Kafka::ensure`](super::Kafka::ensure).
#[expect(
    clippy::disallowed_methods,
    reason = "nothing waits for this task, and ending it early does no harm"
)]
pub(super) async fn ensure(config: &Config, topics: &[Topic]) {
    let (config, topics) = (config.clone(), topics.to_vec());
    let task = tokio::spawn(async move { until_created(&config, &topics).await });
    // The task goes on when this stops waiting for it.
    let _ = timeout(MOMENT, task).await;
}

/// Creates topics, however long the broker is away.
pub(super) async fn until_created(config: &Config, topics: &[Topic]) {
    let mut warned = false;
    while let Err(error) = create(config, topics).await {
        if !std::mem::replace(&mut warned, true) {
            tracing::warn!(error = format!("{error:#}"), "topics cannot be created yet");
        }
        sleep(PAUSE).await;
    }
}

/// See [`Kafka::create`](super::Kafka::create).
pub(super) async fn create(config: &Config, topics: &[Topic]) -> anyhow::Result<()> {
    let client = config.client();
    let opened = blocking(move || client.create_with_context(Quiet).map(Client::new));
    let admin: Client<AdminClient<Quiet>> = opened.await.context("the admin client panicked")??;
    let names: Vec<_> = topics
        .iter()
        .flat_map(|topic| {
            [
                (config.prefixed(topic.name), topic.compacted),
                (config.prefixed(&dlq(topic.name)), false),
            ]
        })
        .collect();
    let wanted: Vec<_> = names
        .iter()
        .map(|(name, compacted)| {
            let topic = NewTopic::new(
                name,
                config.partitions,
                TopicReplication::Fixed(config.replication),
            );
            if *compacted {
                topic.set("cleanup.policy", "compact")
            } else {
                topic
            }
        })
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(ATTEMPT))
        .operation_timeout(Some(ATTEMPT));
    let results = admin.create_topics(&wanted, &options).await;
    // Asking takes time.
    let known = blocking(move || {
        for result in results? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => anyhow::bail!("topic {topic}: {code}"),
            }
        }
        names
            .iter()
            .try_for_each(|(name, _)| until_known(&admin, name))
    });
    known.await.context("the admin client panicked")?
}

/// Waits until the broker tells clients of a topic, which is a moment after it was created. A group that is joined
/// before shares out the partitions that are known by then: a member with a fixed name that comes back meanwhile gets
/// just those again, and nobody notices what is missing.
fn until_known(admin: &AdminClient<Quiet>, name: &str) -> anyhow::Result<()> {
    let asked = Instant::now();
    loop {
        let metadata = admin.inner().fetch_metadata(Some(name), ATTEMPT)?;
        let mut topics = metadata.topics().iter();
        let known = topics.any(|topic| {
            let led = |partition: &MetadataPartition| partition.leader() >= 0;
            topic.error().is_none()
                && !topic.partitions().is_empty()
                && topic.partitions().iter().all(led)
        });
        if known {
            return Ok(());
        }
        anyhow::ensure!(asked.elapsed() < ATTEMPT, "topic {name} is not known yet");
        std::thread::sleep(LOOK);
    }
}

/// Where messages of a topic go that nobody can handle.
pub(super) fn dlq(topic: &str) -> String {
    format!("{topic}.dlq")
}
