//! One process behind the gateway: where it is and how it is.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use chassis::{clock::Clock, telemetry::metrics};
use http::{
    HeaderValue, Request, StatusCode, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::{BodyExt, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use prometheus::IntCounterVec;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{
    body::{Playback, Tape},
    breaker::{Breaker, Failure},
    routes::Service,
};

/// The client that all upstreams share: HTTP/1.1 over kept connections.
pub type HttpClient = Client<HttpConnector, Playback>;

/// How long a connection may take to come about: long enough for a lost packet to be sent again, after a second.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a connection is kept idle. The services close theirs after 10 s without a request, and a connection that
/// is taken up while it is being closed loses a request.
const IDLE: Duration = Duration::from_secs(6);
/// How long a question of our own may take.
const ASK: Duration = Duration::from_secs(2);
/// The longest answer to such a question, in bytes.
const ANSWER: usize = 4 << 20;

static FAILURES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "gateway_upstream_failures_total",
        "Requests that an upstream did not answer, by cause.",
        &["service", "cause"],
    )
});

/// Makes the client.
pub fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    Client::builder(TokioExecutor::new())
        // Without a timer of its own the pool never closes what is idle.
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector)
}

/// One process of a service.
pub struct Upstream {
    service: Service,
    authority: Authority,
    host: HeaderValue,
    ready: AtomicBool,
    seats: Semaphore,
    breaker: Breaker,
    doubt: Notify,
}

impl Upstream {
    /// An upstream that so many requests may wait for at once.
    pub fn new(service: Service, authority: Authority, seats: usize, clock: Clock) -> Self {
        let host = HeaderValue::from_str(authority.as_str())
            .unwrap_or_else(|_| unreachable!("an authority is visible ASCII"));
        Self {
            service,
            authority,
            host,
            ready: AtomicBool::new(true),
            seats: Semaphore::new(seats),
            breaker: Breaker::new(clock),
            doubt: Notify::new(),
        }
    }

    /// The address of a path at this upstream; nothing is copied.
    pub fn uri(&self, path: &PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path.clone());
        Uri::from_parts(parts)
            .unwrap_or_else(|_| unreachable!("scheme, authority and path make an address"))
    }

    /// What to put into `Host`.
    pub fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Takes one of its seats, where one is free; a request has it until the head of the reply is there.
    pub fn seat(&self) -> Option<SemaphorePermit<'_>> {
        self.seats.try_acquire().ok()
    }

    /// Waits for one of its seats.
    pub async fn free_seat(&self) -> Option<SemaphorePermit<'_>> {
        self.seats.acquire().await.ok()
    }

    /// Whether its breaker lets a request through (see [`Breaker::admits`]).
    pub fn admits(&self) -> bool {
        self.breaker.admits()
    }

    /// Whether it said that it is ready.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    /// Whether requests may be sent without a doubt.
    pub fn is_sound(&self) -> bool {
        self.is_ready() && self.breaker.is_closed()
    }

    /// Returns when a request has failed to connect, or was broken off.
    pub async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// Notes that it answered a request.
    pub fn answered(&self) {
        self.breaker.succeeded();
    }

    /// Notes that a request got no connection, or no reply in time.
    pub fn failed(&self, how: Failure) {
        self.count(match how {
            Failure::Connect => "connect",
            Failure::Timeout => "timeout",
        });
        if how == Failure::Connect {
            // Others are preferred until a check gets through.
            self.ready.store(false, Relaxed);
            self.doubt.notify_one();
        }
        if self.breaker.failed(how) {
            tracing::warn!(service = self.service.name(), upstream = %self.authority, cause = ?how, "breaker opened");
        }
    }

    /// Notes that it broke off before it answered. That is no reason to leave it alone, since it did take the request; but
    /// it may be about to end, so it is asked at once.
    pub fn broke_off(&self) {
        self.count("closed");
        self.doubt.notify_one();
    }

    fn count(&self, cause: &str) {
        FAILURES
            .with_label_values(&[self.service.name(), cause])
            .inc();
    }

    /// Notes what `/readyz` answered; nothing where it could not be reached.
    pub fn checked(&self, status: Option<StatusCode>) {
        if status.is_some() {
            self.breaker.reached();
        }
        let ready = status == Some(StatusCode::OK);
        if self.ready.swap(ready, Relaxed) != ready {
            tracing::info!(service = self.service.name(), upstream = %self.authority, ready, "upstream changed");
        }
    }

    /// Asks it a question of the gateway's own; nothing where it does not answer within 2 s.
    pub async fn ask(
        &self,
        client: &HttpClient,
        path: &'static str,
    ) -> Option<(StatusCode, Bytes)> {
        let body = Tape::new(Body::empty(), 0, false).play();
        let mut request = Request::new(body);
        *request.uri_mut() = self.uri(&PathAndQuery::from_static(path));
        timeout(ASK, async {
            let (head, body) = client.request(request).await.ok()?.into_parts();
            let bytes = Limited::new(body, ANSWER).collect().await.ok()?.to_bytes();
            Some((head.status, bytes))
        })
        .await
        .ok()?
    }
}
