//! A collector of traces: OTLP over HTTP, as the services export them.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::RUNTIME;

/// Who made a span, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The service's name.
    pub service: String,
    /// The span's name.
    pub name: String,
}

type Traces = Arc<Mutex<HashMap<String, Vec<Span>>>>;

/// Every span that was exported, by its trace.
pub struct Spans {
    /// What goes into `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    traces: Traces,
}

impl Spans {
    /// Starts to receive.
    pub(super) fn receive() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let traces = Traces::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(traces.clone());
        RUNTIME.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { endpoint, traces })
    }

    /// The spans of a trace that have come so far.
    pub fn of(&self, trace_id: &str) -> Vec<Span> {
        let traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.get(trace_id).cloned().unwrap_or_default()
    }
}

async fn take(State(traces): State<Traces>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).expect("a service speaks OTLP");
    let mut traces = traces.lock().unwrap_or_else(PoisonError::into_inner);
    for group in request.resource_spans {
        let attributes = group
            .resource
            .map(|resource| resource.attributes)
            .unwrap_or_default();
        let service = attributes
            .into_iter()
            .find(|attribute| attribute.key == "service.name")
            .and_then(|attribute| attribute.value?.value)
            .map(|value| match value {
                opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(name) => name,
                other => panic!("a service is called {other:?}"),
            })
            .expect("a service says its name");
        for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            traces
                .entry(hex::encode(&span.trace_id))
                .or_default()
                .push(Span {
                    service: service.clone(),
                    name: span.name,
                });
        }
    }
}
