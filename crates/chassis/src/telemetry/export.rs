//! Sends finished spans to an OTLP/HTTP collector from a thread of its own, and never waits for it elsewhere.

use std::{
    sync::{LazyLock, mpsc as blocking},
    time::Duration,
};

use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter},
};
use prometheus::IntCounterVec;
use tokio::{sync::mpsc, time::timeout_at};

use super::metrics;

/// Spans that may wait; more are dropped and counted.
const QUEUE: usize = 4096;
/// The most spans in one request to the collector.
const BATCH: usize = 512;
/// How long spans are gathered before they are sent.
const GATHER: Duration = Duration::from_millis(500);
/// How long the collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

static SPANS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "otel_spans_total",
        "Finished spans by what became of them.",
        &["outcome"],
    )
});

enum Command {
    Span(Box<SpanData>),
    Flush(blocking::Sender<()>),
}

/// A handle to the exporting thread.
#[derive(Clone)]
pub(super) struct Exporter(mpsc::Sender<Command>);

impl Exporter {
    /// Starts the thread that sends spans to `{endpoint}/v1/traces`.
    pub(super) fn start(service: &'static str, endpoint: &str) -> anyhow::Result<Self> {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(url)
            .with_timeout(TIMEOUT)
            .build()?;
        exporter.set_resource(&Resource::builder_empty().with_service_name(service).build());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("telemetry".into())
            .spawn(move || runtime.block_on(export(exporter, receiver)))?;
        Ok(Self(sender))
    }

    /// Queues a span, or drops it when the collector cannot keep up.
    pub(super) fn send(&self, span: SpanData) {
        if self.0.try_send(Command::Span(Box::new(span))).is_err() {
            SPANS.with_label_values(&["dropped"]).inc();
        }
    }

    /// Waits until everything queued so far was sent, at most two seconds.
    pub(super) fn flush(&self) {
        let (done, flushed) = blocking::channel();
        if self.0.try_send(Command::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(TIMEOUT);
        }
    }
}

async fn export(exporter: opentelemetry_otlp::SpanExporter, mut commands: mpsc::Receiver<Command>) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(first) = commands.recv().await {
        let until = tokio::time::Instant::now() + GATHER;
        let mut flushed = None;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Span(span) => batch.push(*span),
                Command::Flush(done) => flushed = Some(done),
            }
            if batch.len() == BATCH || flushed.is_some() {
                break;
            }
            next = timeout_at(until, commands.recv()).await.ok().flatten();
        }
        let spans = std::mem::take(&mut batch);
        let count = spans.len() as u64;
        let outcome = if exporter.export(spans).await.is_ok() {
            "sent"
        } else {
            "failed"
        };
        SPANS.with_label_values(&[outcome]).inc_by(count);
        if let Some(done) = flushed {
            let _ = done.send(());
        }
    }
}
