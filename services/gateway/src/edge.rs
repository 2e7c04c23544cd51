//! The outermost shell of a request: its trace, its route, its client, its limit.

use std::{
    convert::Infallible,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::{ConnectInfo, Request},
    response::{IntoResponse, Response},
};
use chassis::{
    http::Problem,
    telemetry::{self, metrics},
};
use futures::FutureExt;
use http::Method;
use tokio::time::Instant;

use crate::{
    App,
    client::Client,
    error::Error,
    limit::Limits,
    routes::{self, Route},
};

/// What the edge found out about a request, for those behind it.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// Where it goes.
    pub route: Route,
    /// Where it comes from.
    pub client: Client,
}

/// Answers whatever the operators' routes do not.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    app: Arc<App>,
    limits: Limits,
}

impl Edge {
    /// The edge of a gateway.
    pub fn new(app: Arc<App>, limits: Limits) -> Self {
        Self(Arc::new(Inner { app, limits }))
    }
}

impl tower::Service<Request> for Edge {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move { Ok(inner.observed(request).await) })
    }
}

impl Inner {
    /// Answers a request inside of its span, and counts it. There is no log line per request: spans and metrics tell
    /// as much, and cost less.
    async fn observed(&self, request: Request) -> Response {
        let started = Instant::now();
        let route = routes::route(request.uri().path());
        let name = route.map_or("unmatched", |route| route.name);
        let method = request.method().clone();
        let traceparent = request
            .headers()
            .get("traceparent")
            .and_then(|value| value.to_str().ok());
        let span = telemetry::server_span(traceparent, method.as_str(), name);
        let answer = async {
            let caught = AssertUnwindSafe(self.admitted(route, request))
                .catch_unwind()
                .await;
            caught.unwrap_or_else(|_| Problem::internal("the gateway panicked").into_response())
        };
        let response = telemetry::scope(&span, answer).await;
        telemetry::responded(&span, response.status().as_u16());
        metrics::http_request(&method, name, response.status().as_u16(), started.elapsed());
        response
    }

    async fn admitted(&self, route: Option<Route>, mut request: Request) -> Response {
        let Some(route) = route else {
            return Problem::from(Error::NotFound).into_response();
        };
        if !is_known(request.method()) {
            return Problem::from(Error::MethodNotAllowed).into_response();
        }
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        // Without an address all share one bucket, which is the safe side.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| {
            peer.ip()
        });
        let client = Client::of(peer, request.headers(), &self.app.trusted_proxies);
        let visit = Visit { route, client };
        request.extensions_mut().insert(visit);
        self.limits.answer(visit, request).await
    }
}

fn is_known(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS
    )
}
