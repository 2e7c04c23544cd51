//! A consumer group's member from its first poll to its last commit.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use prometheus::IntCounterVec;

use super::{Handler, Kafka, Topic, admin, inlet::Inlet, retry::Retry};
use crate::{lifecycle::Lifecycle, telemetry::metrics};

/// Before a member that failed is replaced.
const PAUSE: Duration = Duration::from_secs(1);

static REPLACED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "kafka_consumers_replaced_total",
        "Group members that had to be made anew.",
        &["group"],
    )
});

/// See [`Kafka::consume`].
pub(super) struct Consumer<H> {
    kafka: Kafka,
    group: Arc<str>,
    topics: Vec<Topic>,
    handler: H,
    life: Lifecycle,
}

impl<H: Handler> Consumer<H> {
    pub(super) fn new(
        kafka: Kafka,
        group: &str,
        topics: &[Topic],
        handler: H,
        life: Lifecycle,
    ) -> Self {
        Self {
            kafka,
            group: group.into(),
            topics: topics.to_vec(),
            handler,
            life,
        }
    }

    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = &self.kafka.config;
        // A subscription to topics that do not exist is noticed late when they appear.
        tokio::select! {
            () = self.life.stopping() => return Ok(()),
            () = admin::until_created(config, &self.topics) => {}
        }
        let producer = self.kafka.producer()?;
        let retry = Retry {
            config,
            producer: &producer,
            group: &self.group,
            handler: &self.handler,
            life: &self.life,
        };
        while !self.life.is_stopping() {
            let mut inlet = Inlet::open(config, &self.group, &self.topics)?;
            let outcome = self.drain(&mut inlet, &retry).await;
            inlet.close().await;
            if let Err(error) = outcome {
                REPLACED.with_label_values(&[&*self.group]).inc();
                tracing::warn!(
                    group = &*self.group,
                    error = format!("{error:#}"),
                    "kafka consumer is replaced"
                );
                tokio::select! {
                    () = self.life.stopping() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
        Ok(())
    }

    /// Handles batches until the process stops or the member is of no more use.
    async fn drain(&self, inlet: &mut Inlet, retry: &Retry<'_, H>) -> anyhow::Result<()> {
        loop {
            let batch = tokio::select! {
                biased;
                () = self.life.stopping() => return Ok(()),
                batch = inlet.batch(H::GATHER) => batch?,
            };
            if !retry.settle(inlet, batch).await {
                return Ok(());
            }
        }
    }
}
