//! A live feed: every partition from its end, positions in memory only.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    metadata::MetadataTopic,
};
use tracing::Instrument;
use uuid::Uuid;

use super::{Config, Handler, Message, Topic, admin, blocking, client::Client, context::Member};
use crate::{lifecycle::Lifecycle, telemetry};

/// The most messages in a batch.
const BATCH: usize = 1000;
/// Before a client that failed is replaced.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the broker may take to name the partitions.
const LIMIT: Duration = Duration::from_secs(5);

/// See [`Kafka::tail`](super::Kafka::tail).
pub(super) async fn run<H: Handler>(
    config: Config,
    topics: Vec<Topic>,
    handler: H,
    life: Lifecycle,
) -> anyhow::Result<()> {
    let attempt = async {
        admin::until_created(&config, &topics).await;
        loop {
            if let Err(error) = follow(&config, &topics, &handler).await {
                tracing::warn!(error = format!("{error:#}"), "kafka tail begins again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = life.stopping() => Ok(()),
        outcome = attempt => outcome,
    }
}

async fn follow<H: Handler>(config: &Config, topics: &[Topic], handler: &H) -> anyhow::Result<()> {
    // Assigned by hand there is no membership, and so no rebalance that could skip messages; a group's name is
    // still asked for.
    let group = format!("{}.tail.{}", config.client_id, Uuid::new_v4());
    let client: StreamConsumer<Member> = config
        .consumer(&group)
        .set("enable.auto.commit", "false")
        .create_with_context(Member::new("tail", &config.prefix))?;
    let names: Vec<_> = topics
        .iter()
        .map(|topic| config.prefixed(topic.name))
        .collect();
    let client = Client::new(client);
    let opened = blocking(move || {
        let assigned = partitions(&client, &names).and_then(|ends| Ok(client.assign(&ends)?));
        (client, assigned)
    });
    let Some((stream, assigned)) = opened.await else {
        anyhow::bail!("the client panicked")
    };
    assigned?;
    loop {
        let mut batch = Vec::new();
        let mut next = Some(stream.recv().await);
        while let Some(received) = next {
            match received {
                Ok(message) => batch.push(Message::copy(
                    &message,
                    config.unprefixed(rdkafka::Message::topic(&message)),
                )),
                Err(error) if stream.client().fatal_error().is_some() => return Err(error.into()),
                // The client comes back by itself, and to where it was.
                Err(error) => tracing::warn!(error = %error, "kafka tail"),
            }
            next = if batch.len() < BATCH {
                stream.recv().now_or_never()
            } else {
                None
            };
        }
        if batch.is_empty() {
            continue;
        }
        let origin = batch
            .iter()
            .find_map(|message| message.header("traceparent"));
        let span = telemetry::span_from("tail", origin);
        match AssertUnwindSafe(handler.handle(&batch).instrument(span))
            .catch_unwind()
            .await
        {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => {
                tracing::warn!(error = %fault, messages = batch.len(), "live messages were not handled");
            }
            Err(_) => tracing::error!(messages = batch.len(), "handler of live messages panicked"),
        }
    }
}

/// The ends of all partitions of the topics.
fn partitions(
    client: &StreamConsumer<Member>,
    names: &[String],
) -> anyhow::Result<TopicPartitionList> {
    let mut ends = TopicPartitionList::new();
    for name in names {
        let metadata = client.fetch_metadata(Some(name), LIMIT)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let partitions = topic.map(MetadataTopic::partitions).unwrap_or_default();
        anyhow::ensure!(!partitions.is_empty(), "topic {name} has no partitions yet");
        for partition in partitions {
            ends.add_partition_offset(name, partition.id(), Offset::End)?;
        }
    }
    Ok(ends)
}
