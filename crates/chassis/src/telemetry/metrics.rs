//! Prometheus metrics on the default registry.
//!
//! A metric is made where it is used, as a `LazyLock` of one of the constructors here. Asking twice for the same
//! name gives the same metric, so that several services can live in one test process.

use std::{
    any::Any,
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use http::{Method, StatusCode};
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, TextEncoder, core::Collector,
};

/// Bucket bounds for latencies in seconds: few, since each one is a time series per route.
pub const LATENCY_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

static KNOWN: LazyLock<Mutex<HashMap<&'static str, Box<dyn Any + Send>>>> =
    LazyLock::new(Mutex::default);

static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "http_requests_total",
        "Requests answered.",
        &["method", "route", "status"],
    )
});
static REQUEST_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "http_request_duration_seconds",
        "Time to answer a request.",
        &["method", "route"],
        LATENCY_SECONDS,
    )
});
static PANICS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "http_panics_total",
        "Requests whose handler panicked.",
        &["route"],
    )
});
static RESIDENT: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "process_resident_memory_bytes",
        "Resident memory of this process.",
        &[],
    )
});

/// A counter with the given label names.
pub fn counter(name: &'static str, help: &'static str, labels: &[&str]) -> IntCounterVec {
    known(name, || IntCounterVec::new(Opts::new(name, help), labels))
}

/// A gauge with the given label names.
pub fn gauge(name: &'static str, help: &'static str, labels: &[&str]) -> GaugeVec {
    known(name, || GaugeVec::new(Opts::new(name, help), labels))
}

/// A histogram with the given label names and bucket bounds.
pub fn histogram(
    name: &'static str,
    help: &'static str,
    labels: &[&str],
    buckets: &[f64],
) -> HistogramVec {
    known(name, || {
        HistogramVec::new(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
            labels,
        )
    })
}

/// Counts one answered request. `route` is the route's template, never the raw path.
pub fn http_request(method: &Method, route: &str, status: u16, elapsed: Duration) {
    let method = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        // Clients can invent methods, and each would be a time series.
        _ => "other",
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    REQUESTS
        .with_label_values(&[method, route, status.as_str()])
        .inc();
    REQUEST_SECONDS
        .with_label_values(&[method, route])
        .observe(elapsed.as_secs_f64());
}

/// Counts one request whose handler panicked.
pub fn http_panic(route: &str) {
    PANICS.with_label_values(&[route]).inc();
}

/// Every metric of this process in Prometheus' text format.
pub fn render() -> String {
    if let Some(bytes) = resident_bytes() {
        RESIDENT.with_label_values::<&str>(&[]).set(bytes);
    }
    TextEncoder::new()
        .encode_to_string(&prometheus::gather())
        .unwrap_or_default()
}

/// Gives the metric called `name`, which is made and registered at the first call.
fn known<M>(name: &'static str, make: impl FnOnce() -> prometheus::Result<M>) -> M
where
    M: Collector + Clone + Send + 'static,
{
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let metric = known.entry(name).or_insert_with(|| {
        let metric = make().expect("metric and label names are literals that prometheus accepts");
        prometheus::register(Box::new(metric.clone()))
            .expect("this function is the only one that registers");
        Box::new(metric)
    });
    metric
        .downcast_ref::<M>()
        .expect("a metric's name has one type")
        .clone()
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    kilobytes
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<f64>()
        .ok()
        .map(|kilobytes| kilobytes * 1024.0)
}
