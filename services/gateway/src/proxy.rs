//! Passing one request on and its reply back.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use chassis::{http::Problem, telemetry};
use common::auth::caller_of;
use http::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_LENGTH, HOST},
    uri::PathAndQuery,
};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::time::{Instant, timeout_at};

use crate::{
    App,
    body::{Playback, State, Tape},
    breaker::Failure,
    edge::Visit,
    error::Error,
    forwarding,
    routes::{self, Kind, Service},
    turns::Tried,
    upstream::Upstream,
};

/// The largest body of a request, in bytes.
const BODY: u64 = 64 << 10;
/// The same for a delivery of the provider's.
const WEBHOOK_BODY: u64 = 256 << 10;

/// What stands behind the limits: it passes requests on.
#[derive(Clone)]
pub struct Proxy(Arc<App>);

impl Proxy {
    /// A proxy of the given gateway.
    pub fn new(app: Arc<App>) -> Self {
        Self(app)
    }

    /// Passes a request on; a refusal of the gateway's own is a reply like any other.
    pub async fn answer(&self, visit: Visit, request: Request) -> Response {
        match pass_on(&self.0, visit, request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    }
}

impl tower::Service<Request> for Proxy {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(visit) = request.extensions().get::<Visit>().copied() else {
            return Box::pin(ready(Ok(Problem::from(Error::NotFound).into_response())));
        };
        let proxy = self.clone();
        Box::pin(async move { Ok(proxy.answer(visit, request).await) })
    }
}

async fn pass_on(app: &Arc<App>, visit: Visit, mut request: Request) -> Result<Response, Problem> {
    caller_of(request.headers(), &app.verifier)?;
    let limit = if visit.route.kind == Kind::Webhook {
        WEBHOOK_BODY
    } else {
        BODY
    };
    if declared_length(request.headers()).is_some_and(|length| length > limit) {
        return Err(Error::BodyTooLarge.into());
    }
    let socket = match visit.route.kind {
        Kind::Feed if is_handshake(&request) => request.extensions_mut().remove::<OnUpgrade>(),
        _ => None,
    };
    let seat = socket
        .is_some()
        .then(|| app.sockets.seat(&visit.client))
        .transpose()?;
    let (mut parts, body) = request.into_parts();
    forwarding::request(&mut parts.headers, &visit.client, telemetry::traceparent());
    if socket.is_some() {
        forwarding::upgrade(&mut parts.headers);
    }
    let repeatable = parts.method.is_safe() || parts.headers.contains_key("idempotency-key");
    let path = parts.uri.path_and_query().ok_or(Error::NotFound)?;
    let call = Call {
        path: routes::canonical(path),
        method: parts.method,
        headers: parts.headers,
        body: Tape::new(body, limit, repeatable),
        repeatable,
    };
    let mut response = send(app, visit.route.service, &call).await?;
    forwarding::reply(response.headers_mut());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let (Some(socket), Some(seat)) = (socket, seat) else {
            return Err(Error::Closed.into());
        };
        seat.join(socket, hyper::upgrade::on(&mut response), &app.life);
        forwarding::upgrade(response.headers_mut());
    }
    Ok(response.map(Body::new))
}

fn is_handshake(request: &Request) -> bool {
    request.method() == Method::GET && forwarding::asks_for_websocket(request.headers())
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A request that can be put to one upstream after another.
struct Call {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    body: Tape,
    /// Whether doing it twice is doing it once: it reads, or it carries a key by which the service tells.
    repeatable: bool,
}

impl Call {
    fn to(&self, upstream: &Upstream) -> http::Request<Playback> {
        let mut request = http::Request::new(self.body.play());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = upstream.uri(&self.path);
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(HOST, upstream.host());
        request
    }
}

/// Puts a call to the service's upstreams until one answers. Another one is asked where the call was certainly not
/// sent; where it may have been, once, and only if that cannot do its work twice.
async fn send(app: &App, service: Service, call: &Call) -> Result<http::Response<Incoming>, Error> {
    let deadline = Instant::now() + app.timeout;
    let mut tried = Tried::default();
    let mut repeated = false;
    loop {
        let turn = match app.upstreams[service].pick(&mut tried).await {
            Ok(turn) => turn,
            // That nobody can take it now does not undo what the first one may have done.
            Err(_) if repeated => return Err(Error::Closed),
            Err(error) => return Err(error),
        };
        match timeout_at(deadline, app.client.request(call.to(&turn))).await {
            Ok(Ok(response)) => {
                turn.answered();
                return Ok(response);
            }
            Ok(Err(error)) if error.is_connect() => {
                tracing::debug!(%error, "cannot connect to an upstream");
                turn.failed(Failure::Connect);
            }
            Ok(Err(error)) => {
                match call.body.state() {
                    State::TooLarge => return Err(Error::BodyTooLarge),
                    State::Broken => return Err(Error::BodyUnreadable),
                    State::Untouched | State::Open | State::Finished => {}
                }
                tracing::debug!(%error, "an upstream broke off");
                turn.broke_off();
                if repeated || !call.repeatable {
                    return Err(Error::Closed);
                }
                // Most likely a kept connection was closed just as it was used. The others to that process may be closed
                // as well, because it is ending, so another is asked before it.
                tried.put_off(&turn);
                repeated = true;
            }
            // While the client owes us a part of its body, the time was the client's.
            Err(_) if matches!(call.body.state(), State::Untouched | State::Open) => {
                return Err(Error::BodyTooSlow);
            }
            Err(_) => {
                turn.failed(Failure::Timeout);
                return Err(Error::Timeout);
            }
        }
        if !call.body.is_whole() {
            return Err(Error::Closed);
        }
    }
}
