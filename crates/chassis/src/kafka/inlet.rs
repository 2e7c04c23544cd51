//! The client side of a group member: batches in, offsets out, and patience in between.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use futures::FutureExt;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Config, Message, Topic, client::Client, context::Member};
use crate::lifecycle::Lifecycle;

/// The most messages in a batch.
const BATCH: usize = 1000;
/// How long leaving the group may take.
const CLOSE: Duration = Duration::from_secs(5);

/// A member of a consumer group.
pub(super) struct Inlet {
    client: Client<StreamConsumer<Member>>,
    config: Config,
    /// Messages that came while consumption was paused.
    waiting: VecDeque<Message>,
    paused: bool,
}

impl Inlet {
    /// Joins the group.
    pub(super) fn open(config: &Config, group: &str, topics: &[Topic]) -> anyhow::Result<Self> {
        let context = Member::new(group, &config.prefix);
        let client: StreamConsumer<Member> = config.member(group).create_with_context(context)?;
        let client = Client::new(client);
        let names: Vec<_> = topics
            .iter()
            .map(|topic| config.prefixed(topic.name))
            .collect();
        client.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Self {
            client,
            config: config.clone(),
            waiting: VecDeque::new(),
            paused: false,
        })
    }

    /// Waits for a message, and takes with it what else comes while it gathers. When the future is dropped, what it has
    /// taken has no offset yet and comes again to the next member.
    ///
    /// # Errors
    /// When this member will get nothing any more, and a new one is needed.
    pub(super) async fn batch(&mut self, gather: Duration) -> anyhow::Result<Vec<Message>> {
        let mut batch = vec![self.first().await?];
        self.fill(&mut batch)?;
        if batch.len() < BATCH {
            tokio::time::sleep(gather).await;
            self.fill(&mut batch)?;
        }
        Ok(batch)
    }

    /// Adds what is at hand.
    fn fill(&mut self, batch: &mut Vec<Message>) -> anyhow::Result<()> {
        while batch.len() < BATCH {
            let Some(next) = self.next_at_hand() else {
                break;
            };
            match next {
                Ok(message) => batch.push(message),
                Err(error) => {
                    self.judge(error)?;
                    break;
                }
            }
        }
        // A rebalance ends the loop above, so that whatever was revoked is older than the batch's end.
        self.drop_revoked(std::slice::from_mut(batch));
        Ok(())
    }

    async fn first(&mut self) -> anyhow::Result<Message> {
        if let Some(message) = self.waiting.pop_front() {
            return Ok(message);
        }
        let silence = self.config.silence;
        loop {
            match timeout(silence, self.client.recv()).await {
                Ok(Ok(message)) => {
                    let message = Message::copy(
                        &message,
                        self.config.unprefixed(rdkafka::Message::topic(&message)),
                    );
                    // It is younger than any rebalance that this poll has served, and there is nothing older.
                    self.client.context().take_revoked();
                    return Ok(message);
                }
                Ok(Err(error)) => self.judge(error)?,
                Err(_) if self.client.context().lag() > 0 => {
                    anyhow::bail!("messages wait, but none came for {silence:?}")
                }
                Err(_) => {}
            }
        }
    }

    fn next_at_hand(&mut self) -> Option<Result<Message, KafkaError>> {
        if let Some(message) = self.waiting.pop_front() {
            return Some(Ok(message));
        }
        let received = self.client.recv().now_or_never()?;
        Some(received.map(|message| {
            Message::copy(
                &message,
                self.config.unprefixed(rdkafka::Message::topic(&message)),
            )
        }))
    }

    /// Lets time pass without consuming, while the membership is kept alive. Messages of partitions that are revoked
    /// meanwhile are taken out of `held`: their next owner gets them. Gives `false` when the process is stopping.
    pub(super) async fn rest(
        &mut self,
        time: Duration,
        held: &mut [Vec<Message>],
        life: &Lifecycle,
    ) -> bool {
        let until = Instant::now() + time;
        self.pause();
        loop {
            let polled = tokio::select! {
                () = life.stopping() => return false,
                polled = timeout_at(until, self.client.recv()) => polled.map(|received| {
                    received.map(|message| Message::copy(&message, self.config.unprefixed(rdkafka::Message::topic(&message))))
                }),
            };
            self.drop_revoked(held);
            match polled {
                // It came from a partition that was assigned during the pause.
                Ok(Ok(message)) => {
                    self.waiting.push_back(message);
                    self.pause();
                }
                Ok(Err(error)) => {
                    if let Err(error) = self.judge(error) {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "kafka consumer failed while it was paused"
                        );
                        tokio::time::sleep_until(until).await;
                    }
                }
                Err(_) => return !life.is_stopping(),
            }
        }
    }

    fn pause(&mut self) {
        self.paused = true;
        if let Err(error) = self
            .client
            .assignment()
            .and_then(|assigned| self.client.pause(&assigned))
        {
            tracing::debug!(error = %error, "kafka consumer could not be paused");
        }
    }

    /// Consumes again after [`rest`](Self::rest).
    pub(super) fn resume(&mut self) {
        if !std::mem::take(&mut self.paused) {
            return;
        }
        if let Err(error) = self
            .client
            .assignment()
            .and_then(|assigned| self.client.resume(&assigned))
        {
            tracing::warn!(error = %error, "kafka consumer could not be resumed");
        }
    }

    /// Marks messages as handled; a background task of the client commits this every second.
    pub(super) fn store(&self, handled: &[Message]) {
        let mut next: HashMap<(&str, i32), i64> = HashMap::new();
        for message in handled {
            next.insert((&message.topic, message.partition), message.offset + 1);
        }
        let mut offsets = TopicPartitionList::with_capacity(next.len());
        for ((topic, partition), offset) in next {
            let topic = self.config.prefixed(topic);
            if let Err(error) =
                offsets.add_partition_offset(&topic, partition, Offset::Offset(offset))
            {
                tracing::warn!(error = %error, topic, partition, offset, "offset could not be stored");
            }
        }
        // A partition that was revoked meanwhile is not ours to store; its next owner repeats the messages.
        if let Err(error) = self.client.store_offsets(&offsets) {
            tracing::debug!(error = %error, "offsets could not be stored");
        }
    }

    /// Commits and leaves the group, within five seconds.
    pub(super) async fn close(self) {
        let ended =
            self.client.end(
                |client| match client.commit_consumer_state(CommitMode::Sync) {
                    Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
                    Err(error) => {
                        tracing::warn!(error = %error, "offsets could not be committed at the end");
                    }
                },
            );
        if timeout(CLOSE, ended).await.is_err() {
            tracing::warn!("kafka consumer did not close in time");
        }
    }

    /// Tells faults that pass by themselves from those that need a new member.
    fn judge(&self, error: KafkaError) -> anyhow::Result<()> {
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_))
            || self.client.client().fatal_error().is_some();
        if fatal {
            return Err(error.into());
        }
        tracing::warn!(error = %error, "kafka consumer");
        Ok(())
    }

    /// Forgets messages of partitions that were revoked since the last call: their next owner gets them, and that may
    /// be this member again.
    fn drop_revoked(&mut self, held: &mut [Vec<Message>]) {
        let revoked = self.client.context().take_revoked();
        if revoked.is_empty() {
            return;
        }
        let config = &self.config;
        let is_ours = |message: &Message| {
            !revoked.contains(&(config.prefixed(&message.topic), message.partition))
        };
        for messages in held {
            messages.retain(is_ours);
        }
        self.waiting.retain(is_ours);
    }
}
