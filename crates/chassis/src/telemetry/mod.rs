//! Logs, traces and metrics of a process.
//!
//! There is one way to take part in a trace: be inside a [`tracing::Span`]. Spans come from three functions and are
//! entered with [`tracing::Instrument`], also where work moves to another task:
//!
//! * [`server_span`]`(traceparent, method, route)` for a request that came in; [`responded`] notes its status.
//! * [`span_from`]`(name, traceparent)` for work that continues what a message or a row began, or, without a
//!   `traceparent`, the current span.
//! * `tracing::info_span!` for anything inside of those.
//!
//! [`traceparent`] and [`trace_id`] tell where the current span belongs; both are `None` outside of a span and in
//! a process without telemetry. Spans have ids whether or not they are exported, and those that nobody exports
//! cost less than a microsecond: ids, logs and export come from one subscriber layer instead of three.
//!
//! Logs are JSON lines on standard output with the fields of the event, its span, and the trace id. `RUST_LOG`
//! filters them by target and level (default `info`), and does not touch spans.

mod export;
mod layer;
pub mod metrics;
pub mod propagation;

use std::sync::OnceLock;

use tracing::{Instrument, Span, instrument::Instrumented};
use tracing_subscriber::{Registry, filter::Targets, layer::SubscriberExt};

use crate::env::Env;
use export::Exporter;
use layer::Traces;
pub use propagation::TraceContext;

/// A span of a request that came in.
pub type ServerSpan = Span;

/// What telemetry reads from the environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// Base URL of an OTLP/HTTP collector; without one nothing is exported.
    pub endpoint: Option<String>,
    /// Share of new traces that are exported, from 0 to 1. Traces begun elsewhere keep their decision.
    pub ratio: f64,
    /// Which log lines are written, as `target=level` pairs.
    pub filter: String,
}

impl Config {
    /// Reads `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER_ARG` (default 1.0) and `RUST_LOG` (default `info`).
    pub fn read(env: &mut Env) -> Self {
        let ratio = env.parsed("OTEL_TRACES_SAMPLER_ARG", 1.0_f64);
        if !(0.0..=1.0).contains(&ratio) {
            env.problem(format!(
                "OTEL_TRACES_SAMPLER_ARG={ratio} is not between 0 and 1"
            ));
        }
        let filter = env
            .optional("RUST_LOG")
            .unwrap_or_else(|| "info".to_owned());
        if filter.parse::<Targets>().is_err() {
            env.problem(format!("RUST_LOG={filter} is not a list of target=level"));
        }
        Self {
            endpoint: env.optional("OTEL_EXPORTER_OTLP_ENDPOINT"),
            ratio,
            filter,
        }
    }
}

/// Keeps telemetry going; dropping it sends the spans that are still waiting, for at most two seconds.
#[must_use = "the last spans are sent when the guard is dropped"]
pub struct Guard(Option<Exporter>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(exporter) = &self.0 {
            exporter.flush();
        }
    }
}

/// Starts telemetry for the service `name` as the environment of this process says.
///
/// # Errors
/// When a variable is malformed or the exporter cannot be built.
pub fn init(name: &'static str) -> anyhow::Result<Guard> {
    let mut env = Env::process();
    let config = Config::read(&mut env);
    install(name, &env.finish(config)?)
}

/// Starts telemetry with a given configuration. A process has one subscriber: the first call wins, later ones
/// change nothing, so that several services can share a test process.
///
/// # Errors
/// When the filter is malformed or the exporter cannot be built.
pub fn install(name: &'static str, config: &Config) -> anyhow::Result<Guard> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    let filter: Targets = config.filter.parse()?;
    let mut guard = Guard(None);
    let mut outcome = Ok(());
    INSTALLED.get_or_init(|| {
        let exporter = config
            .endpoint
            .as_deref()
            .map(|endpoint| Exporter::start(name, endpoint))
            .transpose();
        match exporter {
            Ok(exporter) => {
                // Nobody samples for an exporter that does not exist; a decision made elsewhere is passed on.
                let ratio = if exporter.is_some() {
                    config.ratio
                } else {
                    0.0
                };
                let traces = Traces::new(name, filter, ratio, exporter.clone());
                guard = Guard(exporter);
                // A subscriber that a test has installed before stays in place.
                let _ = tracing::subscriber::set_global_default(Registry::default().with(traces));
            }
            Err(error) => outcome = Err(error),
        }
    });
    outcome.map(|()| guard)
}

/// Begins the span of a request, as a child of the caller's `traceparent` header where that is valid.
pub fn server_span(traceparent: Option<&str>, method: &str, route: &str) -> ServerSpan {
    layer::with_remote_parent(traceparent, || {
        tracing::info_span!(
            parent: None,
            "request",
            otel.kind = "server",
            http.request.method = method,
            http.route = route,
            http.response.status_code = tracing::field::Empty,
        )
    })
}

/// Notes the status that a request was answered with; 5xx marks its span as failed.
pub fn responded(span: &ServerSpan, status: u16) {
    span.record("http.response.status_code", status);
}

/// Begins a span called `name` that continues a stored `traceparent`, or the current span when there is none.
pub fn span_from(name: &str, traceparent: Option<&str>) -> Span {
    if traceparent.and_then(TraceContext::parse).is_none() {
        return tracing::info_span!("work", otel.name = name);
    }
    layer::with_remote_parent(
        traceparent,
        || tracing::info_span!(parent: None, "work", otel.name = name, otel.kind = "consumer"),
    )
}

/// Runs a future inside of a span.
pub fn scope<F: Future>(span: &Span, work: F) -> Instrumented<F> {
    work.instrument(span.clone())
}

/// The W3C `traceparent` of the current span, to be sent or stored with whatever the span causes.
pub fn traceparent() -> Option<String> {
    layer::current().map(|context| context.to_string())
}

/// The id of the current trace, 32 hexadecimal digits.
pub fn trace_id() -> Option<String> {
    layer::current().map(|context| format!("{:032x}", context.trace_id))
}
