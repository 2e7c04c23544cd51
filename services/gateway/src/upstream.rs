//! The processes behind the gateway: where they are, how they are, and whose turn it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use chassis::clock::Clock;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::{BodyExt, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{sync::Notify, time::timeout};

use crate::{
    body::{Playback, Tape},
    breaker::{Breaker, Failure},
    error::Error,
    routes::Service,
};

/// The client that all upstreams share: HTTP/1.1 over kept connections.
pub type HttpClient = Client<HttpConnector, Playback>;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a connection is kept idle. The services close theirs after 10 s without a request, and a connection that
/// is taken up while it is being closed loses a request.
const IDLE: Duration = Duration::from_secs(6);
/// How long a question of our own may take.
const ASK: Duration = Duration::from_secs(2);
/// The longest answer to such a question, in bytes.
const ANSWER: usize = 4 << 20;

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
    in_flight: AtomicUsize,
    breaker: Breaker,
    doubt: Notify,
}

impl Upstream {
    fn new(service: Service, authority: Authority, clock: Clock) -> Self {
        let host = HeaderValue::from_str(authority.as_str())
            .unwrap_or_else(|_| unreachable!("an authority is visible ASCII"));
        Self {
            service,
            authority,
            host,
            ready: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
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

    /// Whether requests may be sent without a doubt.
    pub fn is_sound(&self) -> bool {
        self.ready.load(Relaxed) && self.breaker.is_closed()
    }

    /// Returns when a request has failed to connect.
    pub async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// Notes that it answered a request.
    pub fn answered(&self) {
        self.breaker.succeeded();
    }

    /// Notes that a request got no connection, or no reply in time.
    pub fn failed(&self, how: Failure) {
        if how == Failure::Connect {
            // Others are preferred until a check gets through.
            self.ready.store(false, Relaxed);
            self.doubt.notify_one();
        }
        if self.breaker.failed(how) {
            tracing::warn!(service = self.service.name(), upstream = %self.authority, cause = ?how, "breaker opened");
        }
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

/// The processes of one service, which take turns.
pub struct Upstreams {
    all: Vec<Arc<Upstream>>,
    next: AtomicUsize,
    /// How many requests may wait for the reply of one of them.
    in_flight: usize,
}

/// Which of a service's processes were tried for a request already.
#[derive(Default)]
pub struct Tried(u64);

impl Tried {
    /// Allows an upstream another try.
    pub fn forget(&mut self, turn: &Turn) {
        self.0 &= !(1 << turn.index);
    }
}

/// The right to send one request to an upstream; it counts as in flight until this is dropped.
pub struct Turn {
    upstream: Arc<Upstream>,
    index: usize,
}

impl std::ops::Deref for Turn {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.upstream.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Upstreams {
    /// The processes at these addresses, of which the first 64 are used.
    pub fn new(service: Service, addresses: &[Authority], in_flight: usize, clock: &Clock) -> Self {
        let upstream =
            |address: &Authority| Arc::new(Upstream::new(service, address.clone(), clock.clone()));
        Self {
            all: addresses
                .iter()
                .take(u64::BITS as usize)
                .map(upstream)
                .collect(),
            next: AtomicUsize::new(0),
            in_flight,
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Upstream>] {
        &self.all
    }

    /// Picks the next one in turn that was not tried yet: one that is ready, else one that says it is not, since it
    /// knows best what to answer. A breaker that is open keeps an upstream out.
    ///
    /// # Errors
    /// Where there is none left, or none that can take more.
    pub fn pick(&self, tried: &mut Tried) -> Result<Turn, Error> {
        let first = self.next.fetch_add(1, Relaxed);
        let in_turn = || (0..self.all.len()).map(|step| first.wrapping_add(step) % self.all.len());
        let mut full = false;
        for only_ready in [true, false] {
            for index in in_turn() {
                let upstream = &self.all[index];
                if tried.0 & 1 << index != 0 || only_ready && !upstream.ready.load(Relaxed) {
                    continue;
                }
                if upstream.in_flight.load(Relaxed) >= self.in_flight {
                    full = true;
                } else if upstream.breaker.admits() {
                    tried.0 |= 1 << index;
                    upstream.in_flight.fetch_add(1, Relaxed);
                    return Ok(Turn {
                        upstream: upstream.clone(),
                        index,
                    });
                }
            }
        }
        Err(if full {
            Error::Overloaded
        } else {
            Error::Unavailable
        })
    }
}
