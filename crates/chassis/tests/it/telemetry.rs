//! Ids, logs and exported spans.

use std::{
    process::Command,
    sync::{Arc, Mutex, OnceLock},
};

use axum::{Router, body::Bytes, routing::post};
use chassis::{
    env::Env,
    kafka::{Fault, Handler, Kafka, Message, Record, Topic},
    lifecycle::Lifecycle,
    telemetry::{self, Config, TraceContext, metrics},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span,
};
use prost::Message as _;
use testkit::eventually;
use tracing::Instrument;

/// Spans that the collector got, with the name of their service.
type Received = Arc<Mutex<Vec<(String, Span)>>>;

/// Starts a collector, and telemetry that keeps no trace of its own accord. The subscriber is one for the process
/// and outlives every test, and so does the runtime of the collector.
fn collector() -> Received {
    static COLLECTOR: OnceLock<Received> = OnceLock::new();
    let install = || {
        let received = Received::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let kept = received.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let keep = async move |body: Bytes| keep(&kept, &body);
                let routes = Router::new().route("/v1/traces", post(keep));
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), routes)
                    .await
                    .unwrap();
            });
        });
        let config = Config {
            endpoint: Some(endpoint),
            ratio: 0.0,
            filter: "off".into(),
        };
        std::mem::forget(telemetry::install("under test", &config).unwrap());
        received
    };
    COLLECTOR.get_or_init(install).clone()
}

fn keep(received: &Received, body: &Bytes) {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        let name = attributes
            .iter()
            .find(|attribute| attribute.key == "service.name")
            .unwrap();
        let name = format!("{:?}", name.value.clone().unwrap().value.unwrap());
        let spans = resource
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans);
        received
            .lock()
            .unwrap()
            .extend(spans.map(|span| (name.clone(), span)));
    }
}

/// Waits for `count` spans of a trace.
async fn spans(received: &Received, trace: TraceContext, count: usize) -> Vec<Span> {
    eventually("the spans were exported", async || {
        let received = received.lock().unwrap();
        let spans: Vec<_> = received
            .iter()
            .filter(|(_, span)| span.trace_id == trace.trace_id.to_be_bytes())
            .map(|(_, span)| span.clone())
            .collect();
        (spans.len() >= count).then_some(spans)
    })
    .await
}

fn remote(sampled: bool) -> TraceContext {
    TraceContext {
        sampled,
        ..TraceContext::root(1.0)
    }
}

#[test]
fn a_traceparent_is_read_as_the_standard_says() {
    let ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
    let parsed = TraceContext::parse(&format!("00-{ids}-01")).unwrap();
    assert_eq!(parsed.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!(parsed.span_id, 0xb7ad_6b71_6920_3331);
    assert!(parsed.sampled);
    assert_eq!(parsed.to_string(), format!("00-{ids}-01"));
    assert!(
        !TraceContext::parse(&format!("00-{ids}-00"))
            .unwrap()
            .sampled
    );
    assert!(
        TraceContext::parse(&format!("cc-{ids}-09-what-comes-later"))
            .unwrap()
            .sampled
    );
    for wrong in [
        String::new(),
        "00".into(),
        format!("ff-{ids}-01"),
        format!("00-{ids}-01-more"),
        format!("00-{ids}-0"),
        format!("00-{}-01", ids.to_uppercase()),
        format!("00-{}-01", ids.replace('-', "_")),
        format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
        format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16)),
        format!("00-{}-01", ids.replace("0af7", "+af7")),
        format!("00-{ids}-0g"),
        format!("00-{}é-01", &ids[..48]),
    ] {
        assert_eq!(TraceContext::parse(&wrong), None, "{wrong}");
    }
}

#[test]
fn a_share_of_new_traces_is_kept() {
    let kept = |ratio| {
        (0..2000)
            .filter(|_| TraceContext::root(ratio).sampled)
            .count()
    };
    assert_eq!((kept(0.0), kept(1.0)), (0, 2000));
    let quarter = kept(0.25);
    assert!((350..650).contains(&quarter), "{quarter} of 2000");
}

#[tokio::test]
async fn a_request_continues_its_callers_trace() {
    let (received, caller) = (collector(), remote(true));
    let span = telemetry::server_span(Some(&caller.to_string()), "POST", "/api/pledges/{id}");
    let (trace, outgoing) = async {
        let inner = tracing::info_span!("insert", rows = 3);
        inner.in_scope(|| tracing::error!("the insert failed"));
        (telemetry::trace_id(), telemetry::traceparent())
    }
    .instrument(span.clone())
    .await;
    telemetry::responded(&span, 503);
    drop(span);
    assert_eq!(trace.unwrap(), format!("{:032x}", caller.trace_id));
    let outgoing = TraceContext::parse(&outgoing.unwrap()).unwrap();
    assert_eq!(
        (outgoing.trace_id, outgoing.sampled),
        (caller.trace_id, true)
    );
    let spans = spans(&received, caller, 2).await;
    let request = spans
        .iter()
        .find(|span| span.name == "POST /api/pledges/{id}")
        .unwrap();
    assert_eq!(request.span_id, outgoing.span_id.to_be_bytes());
    assert_eq!(request.parent_span_id, caller.span_id.to_be_bytes());
    assert_eq!(
        (request.kind, request.status.as_ref().unwrap().code),
        (2, 2),
        "a server span that failed"
    );
    let insert = spans.iter().find(|span| span.name == "insert").unwrap();
    assert_eq!(insert.parent_span_id, request.span_id);
    assert_eq!(insert.status.as_ref().unwrap().message, "the insert failed");
    assert!(
        insert
            .attributes
            .iter()
            .any(|attribute| attribute.key == "rows")
    );
    assert!(
        received
            .lock()
            .unwrap()
            .iter()
            .all(|(service, _)| service.contains("under test"))
    );
}

#[tokio::test]
async fn a_trace_that_nobody_keeps_has_ids_and_is_not_exported() {
    let (received, dropped, kept) = (collector(), remote(false), remote(true));
    telemetry::span_from("dropped", Some(&dropped.to_string())).in_scope(|| {
        assert_eq!(
            telemetry::trace_id().unwrap(),
            format!("{:032x}", dropped.trace_id)
        );
        assert!(telemetry::traceparent().unwrap().ends_with("-00"));
    });
    telemetry::server_span(None, "GET", "/")
        .in_scope(|| assert!(telemetry::traceparent().unwrap().ends_with("-00")));
    drop(telemetry::span_from("kept", Some(&kept.to_string())));
    spans(&received, kept, 1).await;
    let received = received.lock().unwrap();
    assert!(
        received
            .iter()
            .all(|(_, span)| span.trace_id != dropped.trace_id.to_be_bytes())
    );
}

#[tokio::test]
async fn an_invalid_traceparent_begins_a_trace() {
    let _received = collector();
    for wrong in [Some("00-zz"), None] {
        telemetry::server_span(wrong, "GET", "/")
            .in_scope(|| assert_eq!(telemetry::trace_id().unwrap().len(), 32));
    }
    assert_eq!(
        telemetry::trace_id(),
        None,
        "outside of a span there is no trace"
    );
}

#[tokio::test]
async fn without_a_traceparent_work_belongs_to_the_current_span() {
    let _received = collector();
    telemetry::server_span(None, "GET", "/").in_scope(|| {
        let outer = telemetry::trace_id();
        telemetry::span_from("inner", None).in_scope(|| assert_eq!(telemetry::trace_id(), outer));
    });
}

/// Answers with the trace that each batch was handled in.
struct Witness(tokio::sync::mpsc::UnboundedSender<Option<String>>);

impl Handler for Witness {
    async fn handle(&self, _: &[Message]) -> Result<(), Fault> {
        self.0.send(telemetry::trace_id()).map_err(Fault::permanent)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_continues_the_trace_of_its_message() {
    let (received, caller) = (collector(), remote(true));
    let kafka = Kafka::new(&testkit::kafka());
    let (life, topic) = (
        Lifecycle::new(),
        Topic {
            name: "orders",
            compacted: false,
        },
    );
    kafka.create(&[topic]).await.unwrap();
    let headers = vec![("traceparent".to_owned(), caller.to_string())];
    let record = Record {
        topic: topic.name.into(),
        key: "key".into(),
        payload: b"value".to_vec(),
        headers,
    };
    kafka
        .producer()
        .unwrap()
        .send_all(vec![record])
        .await
        .remove(0)
        .unwrap();
    let (sender, mut traces) = tokio::sync::mpsc::unbounded_channel();
    kafka.consume("shop", &[topic], Witness(sender), &life);
    assert_eq!(
        traces.recv().await.unwrap().unwrap(),
        format!("{:032x}", caller.trace_id)
    );
    let span = spans(&received, caller, 1).await.remove(0);
    assert_eq!((span.name.as_str(), span.kind), ("consume shop", 5));
    assert_eq!(span.parent_span_id, caller.span_id.to_be_bytes());
    life.stop();
    life.finish().await;
}

#[test]
fn a_metric_that_is_asked_for_twice_is_one() {
    metrics::counter("test_events_total", "Events.", &["kind"])
        .with_label_values(&["a"])
        .inc();
    metrics::counter("test_events_total", "Events.", &["kind"])
        .with_label_values(&["a"])
        .inc();
    let text = metrics::render();
    assert!(text.contains("test_events_total{kind=\"a\"} 2"), "{text}");
    assert!(text.contains("process_resident_memory_bytes "), "{text}");
}

/// Runs only as the child of the test below: standard output cannot be read back in the process that writes it.
#[test]
fn child_that_logs() {
    if Env::process().optional("TEST_LOG_CHILD").is_none() {
        return;
    }
    let _guard = telemetry::init("child").unwrap();
    let span = telemetry::server_span(None, "GET", "/api/\"quoted\"");
    span.in_scope(|| {
        tracing::info!(rows = 3, "it is {}", "said");
        tracing::debug!("never shown");
    });
    tracing::warn!(target: "loud", "left out by the filter");
}

#[test]
fn a_log_line_is_json_with_its_trace() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "telemetry::child_that_logs", "--nocapture"])
        .env("TEST_LOG_CHILD", "1")
        .env("RUST_LOG", "info,loud=error")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    let lines: Vec<serde_json::Value> = output
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert_eq!(lines.len(), 1, "{output}");
    let line = &lines[0];
    assert_eq!(
        (&line["message"], &line["level"], &line["service"]),
        (&"it is said".into(), &"INFO".into(), &"child".into())
    );
    assert_eq!(line["rows"], 3);
    assert_eq!(line["span"]["http.route"], "/api/\"quoted\"");
    assert_eq!(
        line["trace_id"].as_str().unwrap().len(),
        32,
        "there is a trace without an exporter"
    );
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
}
