//! What happens to a batch: it takes effect, or it waits, or its bad messages are found and set aside.

use std::{panic::AssertUnwindSafe, sync::LazyLock, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use futures::FutureExt;
use prometheus::IntCounterVec;
use rdkafka::error::RDKafkaErrorCode;
use tracing::Instrument;

use super::{Config, Fault, Handler, Message, Producer, Record, admin, inlet::Inlet};
use crate::{
    clock::Clock,
    lifecycle::Lifecycle,
    telemetry::{self, TraceContext, metrics},
};

/// The longest pause between two attempts during an outage.
const LONGEST: Duration = Duration::from_secs(30);
/// How much of a cause goes into a header, in characters.
const CAUSE: usize = 1000;

static CONSUMED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "kafka_consumed_total",
        "Messages by what became of them.",
        &["topic", "outcome"],
    )
});
static DEAD: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "dlq_messages_total",
        "Messages that were set aside, by their topic.",
        &["topic"],
    )
});

/// Applies a handler to batches, however often that takes.
pub(super) struct Retry<'a, H> {
    pub(super) config: &'a Config,
    pub(super) producer: &'a Producer,
    pub(super) group: &'a str,
    pub(super) handler: &'a H,
    pub(super) life: &'a Lifecycle,
}

/// The failed attempts with one message.
struct Trial {
    topic: String,
    partition: i32,
    offset: i64,
    attempts: usize,
    since: DateTime<Utc>,
}

impl Trial {
    fn of(message: &Message) -> Self {
        let Message {
            topic,
            partition,
            offset,
            ..
        } = message;
        Self {
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
            attempts: 0,
            since: Clock::system().now(),
        }
    }

    fn is_of(&self, message: &Message) -> bool {
        self.topic == message.topic
            && self.partition == message.partition
            && self.offset == message.offset
    }
}

impl<H: Handler> Retry<'_, H> {
    /// Brings a batch to its end and stores its offsets. Gives `false` when the process stops before that; what
    /// has no offset then comes again.
    pub(super) async fn settle(&self, inlet: &mut Inlet, batch: Vec<Message>) -> bool {
        // The part on top is next; a part is split where one of its messages cannot be handled.
        let mut parts = vec![batch];
        let mut outage = 0;
        let mut trial: Option<Trial> = None;
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let pause = match self.attempt(&part).await {
                Ok(()) => {
                    crate::failpoint!("consumer.after_effect");
                    inlet.store(&part);
                    count(&part, "handled");
                    outage = 0;
                    continue;
                }
                Err(Fault::Permanent(_)) if part.len() > 1 => {
                    let later = part.split_off(part.len() / 2);
                    parts.extend([later, part]);
                    continue;
                }
                Err(Fault::Transient(cause)) => {
                    if outage == 0 {
                        tracing::warn!(
                            group = self.group,
                            error = format!("{cause:#}"),
                            messages = part.len(),
                            "consumption waits"
                        );
                    }
                    outage += 1;
                    count(&part, "retried");
                    parts.push(part);
                    self.backoff(outage)
                }
                Err(Fault::Permanent(cause)) => {
                    let known = trial.take().filter(|trial| trial.is_of(&part[0]));
                    let mut current = known.unwrap_or_else(|| Trial::of(&part[0]));
                    current.attempts += 1;
                    let delay = self.config.retry_delays.get(current.attempts - 1).copied();
                    let pause = match delay {
                        Some(delay) => Some(delay),
                        None => {
                            self.bury(inlet, &part, &current, &format!("{cause:#}"), &mut outage)
                                .await
                        }
                    };
                    trial = Some(current);
                    let Some(pause) = pause else { continue };
                    count(&part, "retried");
                    parts.push(part);
                    pause
                }
            };
            if !inlet.rest(pause, &mut parts, self.life).await {
                return false;
            }
        }
        inlet.resume();
        true
    }

    /// Sets a message aside; the pause before the next attempt where the broker does not take it.
    async fn bury(
        &self,
        inlet: &Inlet,
        part: &[Message],
        trial: &Trial,
        cause: &str,
        outage: &mut u32,
    ) -> Option<Duration> {
        let mut letter = dead_letter(&part[0], trial, cause);
        let mut sent = self.producer.send_all(vec![letter.clone()]).await.pop();
        if let Some(Err(error)) = &sent
            && error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
        {
            // As large as a message may be, it has no room for what is noted beside it, and would stop its partition for
            // ever. Its payload stays where it came from.
            let bytes = std::mem::take(&mut letter.payload).len().to_string();
            letter
                .headers
                .push(("x-payload-left-out".to_owned(), bytes));
            sent = self.producer.send_all(vec![letter]).await.pop();
        }
        if let Some(Err(error)) = sent {
            *outage += 1;
            tracing::warn!(error = %error, topic = trial.topic, "dead letter could not be sent");
            return Some(self.backoff(*outage));
        }
        let Trial {
            topic,
            partition,
            offset,
            attempts,
            ..
        } = trial;
        tracing::error!(
            group = self.group,
            topic,
            partition,
            offset,
            attempts,
            error = cause,
            "message is set aside in the dead-letter topic"
        );
        inlet.store(part);
        DEAD.with_label_values(&[topic]).inc();
        count(part, "dead");
        None
    }

    async fn attempt(&self, part: &[Message]) -> Result<(), Fault> {
        let name = format!("consume {}", self.group);
        let span = telemetry::span_from(&name, origin(part));
        let handled = AssertUnwindSafe(self.handler.handle(part).instrument(span))
            .catch_unwind()
            .await;
        handled.unwrap_or_else(|_| Err(Fault::permanent("the handler panicked")))
    }

    /// Doubles from the configured first pause to 30 s; half of it is random, so that replicas do not come back at once.
    fn backoff(&self, failures: u32) -> Duration {
        let full = self
            .config
            .backoff
            .saturating_mul(1 << (failures - 1).min(16))
            .min(LONGEST);
        full.mul_f64(rand::random_range(0.5..=1.0))
    }
}

/// The trace that a batch belongs to: that of its first message which is kept, or else of its first.
fn origin(part: &[Message]) -> Option<&str> {
    let traces = || {
        part.iter()
            .filter_map(|message| message.header("traceparent"))
    };
    let kept = |trace: &&str| TraceContext::parse(trace).is_some_and(|context| context.sampled);
    traces().find(kept).or_else(|| traces().next())
}

fn dead_letter(message: &Message, trial: &Trial, cause: &str) -> Record {
    let mut headers = message.headers.clone();
    let mut note = |name: &str, value: String| headers.push((name.to_owned(), value));
    note("x-original-topic", message.topic.clone());
    note("x-original-partition", message.partition.to_string());
    note("x-original-offset", message.offset.to_string());
    note("x-error", cause.chars().take(CAUSE).collect());
    note("x-attempts", trial.attempts.to_string());
    note(
        "x-first-failed-at",
        trial.since.to_rfc3339_opts(SecondsFormat::Micros, true),
    );
    Record {
        topic: admin::dlq(&message.topic),
        key: message.key.clone(),
        payload: message.payload.clone(),
        headers,
    }
}

fn count(part: &[Message], outcome: &str) {
    for run in part.chunk_by(|one, other| one.topic == other.topic) {
        CONSUMED
            .with_label_values(&[run[0].topic.as_str(), outcome])
            .inc_by(run.len() as u64);
    }
}
