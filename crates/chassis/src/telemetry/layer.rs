//! The one subscriber layer: gives spans their ids, writes log lines, and hands finished spans to the exporter.

use std::{
    cell::Cell,
    io::Write,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use super::{TraceContext, export::Exporter};
use crate::clock::Clock;

thread_local! {
    /// The remote parent of the span that this thread is about to make.
    static REMOTE: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

/// Makes the span that `begin` creates a child of the given remote span.
pub(super) fn with_remote_parent<T>(traceparent: Option<&str>, begin: impl FnOnce() -> T) -> T {
    REMOTE.set(traceparent.and_then(TraceContext::parse));
    let span = begin();
    // Where nobody listens the layer did not take it; it must not wait for an unrelated span.
    REMOTE.set(None);
    span
}

/// The context of the current span.
pub(super) fn current() -> Option<TraceContext> {
    tracing::dispatcher::get_default(|dispatch| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let id = dispatch.current_span().id()?.clone();
        let span = registry.span(&id)?;
        let extensions = span.extensions();
        extensions.get::<State>().map(|state| state.context)
    })
}

/// What the layer keeps with each span.
struct State {
    context: TraceContext,
    parent: Option<TraceContext>,
    remote: bool,
    fields: Fields,
    started: Option<SystemTime>,
    failure: Option<String>,
}

/// Gives spans ids, writes log lines, exports sampled spans.
pub(super) struct Traces {
    service: &'static str,
    filter: Targets,
    ratio: f64,
    exporter: Option<Exporter>,
    scope: InstrumentationScope,
    clock: Clock,
}

impl Traces {
    pub(super) fn new(
        service: &'static str,
        filter: Targets,
        ratio: f64,
        exporter: Option<Exporter>,
    ) -> Self {
        let scope = InstrumentationScope::builder(service).build();
        Self {
            service,
            filter,
            ratio,
            exporter,
            scope,
            clock: Clock::system(),
        }
    }

    /// Spans down to `INFO` always exist, since they carry the ids; errors always mark their span as failed.
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let needed = if metadata.is_span() {
            Level::INFO
        } else {
            Level::ERROR
        };
        *metadata.level() <= needed || (metadata.is_event() && self.shows(metadata))
    }

    /// Whether an event becomes a log line.
    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        self.filter
            .would_enable(metadata.target(), metadata.level())
    }

    fn now(&self) -> SystemTime {
        self.clock.now().into()
    }

    fn line<S: for<'a> LookupSpan<'a>>(
        &self,
        event: &Event<'_>,
        span: Option<&SpanRef<'_, S>>,
    ) -> Option<Vec<u8>> {
        let mut line = Map::new();
        line.insert(
            "timestamp".into(),
            self.clock
                .now()
                .to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
                .into(),
        );
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("service".into(), self.service.into());
        line.insert("target".into(), event.metadata().target().into());
        let mut fields = Fields::default();
        event.record(&mut fields);
        line.extend(
            fields
                .0
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        if let Some(span) = span
            && let Some(state) = span.extensions().get::<State>()
        {
            let mut inside = Map::new();
            inside.insert("name".into(), state.name(span.name()).into());
            let shown = state
                .fields
                .0
                .iter()
                .filter(|(name, _)| !name.starts_with("otel."));
            inside.extend(shown.map(|(name, value)| ((*name).to_owned(), value.clone())));
            line.insert("span".into(), inside.into());
            line.insert(
                "trace_id".into(),
                format!("{:032x}", state.context.trace_id).into(),
            );
            line.insert(
                "span_id".into(),
                format!("{:016x}", state.context.span_id).into(),
            );
        }
        let mut bytes = serde_json::to_vec(&line).ok()?;
        bytes.push(b'\n');
        Some(bytes)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let logs = self.filter.iter().map(|(_, level)| level).max();
        Some(logs.unwrap_or(LevelFilter::TRACE).max(LevelFilter::INFO))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let remote = REMOTE.take();
        let local = || {
            span.parent().and_then(|parent| {
                parent
                    .extensions()
                    .get::<State>()
                    .map(|state| state.context)
            })
        };
        let parent = remote.or_else(local);
        let own = parent.map_or_else(|| TraceContext::root(self.ratio), |parent| parent.child());
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let started = (own.sampled && self.exporter.is_some()).then(|| self.now());
        span.extensions_mut().insert(State {
            context: own,
            parent,
            remote: remote.is_some(),
            fields,
            started,
            failure: None,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(state) = span.extensions_mut().get_mut::<State>()
        {
            values.record(&mut state.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let span = context.event_span(event);
        if self.shows(event.metadata())
            && let Some(line) = self.line(event, span.as_ref())
        {
            // A closed standard output is no reason to stop serving.
            let _ = std::io::stdout().lock().write_all(&line);
        }
        if *event.metadata().level() == Level::ERROR
            && let Some(span) = span
            && let Some(state) = span.extensions_mut().get_mut::<State>()
        {
            let mut fields = Fields::default();
            event.record(&mut fields);
            state.failure = Some(fields.text("message").unwrap_or_default().to_owned());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let (Some(exporter), Some(span)) = (&self.exporter, context.span(&id)) else {
            return;
        };
        let Some(state) = span.extensions_mut().remove::<State>() else {
            return;
        };
        if let Some(started) = state.started {
            exporter.send(state.finish(span.name(), started, self.now(), self.scope.clone()));
        }
    }
}

impl State {
    fn name(&self, fallback: &str) -> String {
        if let Some(name) = self.fields.text("otel.name") {
            return name.to_owned();
        }
        match (
            self.fields.text("http.request.method"),
            self.fields.text("http.route"),
        ) {
            (Some(method), Some(route)) => format!("{method} {route}"),
            _ => fallback.to_owned(),
        }
    }

    fn status(&self) -> Status {
        let server_error = self
            .fields
            .get("http.response.status_code")
            .and_then(Value::as_u64)
            .is_some_and(|status| status >= 500);
        match &self.failure {
            Some(message) => Status::error(message.clone()),
            None if server_error => Status::error(""),
            None => Status::Unset,
        }
    }

    fn finish(
        self,
        name: &str,
        started: SystemTime,
        ended: SystemTime,
        scope: InstrumentationScope,
    ) -> SpanData {
        let kind = match self.fields.text("otel.kind") {
            Some("server") => SpanKind::Server,
            Some("client") => SpanKind::Client,
            Some("producer") => SpanKind::Producer,
            Some("consumer") => SpanKind::Consumer,
            _ => SpanKind::Internal,
        };
        let ids = self.context;
        let flags = if ids.sampled {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::default()
        };
        SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(ids.trace_id.to_be_bytes()),
                SpanId::from_bytes(ids.span_id.to_be_bytes()),
                flags,
                false,
                TraceState::default(),
            ),
            parent_span_id: self.parent.map_or(SpanId::INVALID, |parent| {
                SpanId::from_bytes(parent.span_id.to_be_bytes())
            }),
            parent_span_is_remote: self.remote,
            span_kind: kind,
            name: self.name(name).into(),
            start_time: started,
            end_time: ended.max(started + Duration::from_nanos(1)),
            status: self.status(),
            attributes: self
                .fields
                .0
                .into_iter()
                .filter(|(name, _)| !name.starts_with("otel."))
                .map(attribute)
                .collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            instrumentation_scope: scope,
        }
    }
}

fn attribute((name, value): (&'static str, Value)) -> KeyValue {
    match value {
        Value::Bool(value) => KeyValue::new(name, value),
        Value::Number(number) if number.is_i64() => {
            KeyValue::new(name, number.as_i64().unwrap_or_default())
        }
        Value::Number(number) => KeyValue::new(name, number.as_f64().unwrap_or_default()),
        Value::String(text) => KeyValue::new(name, text),
        other => KeyValue::new(name, other.to_string()),
    }
}

/// The fields of a span or an event, in the order in which they were recorded.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}").into()));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.into()));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), value.into()));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), value.into()));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), value.into()));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), value.into()));
    }
}
