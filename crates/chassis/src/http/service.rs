//! What surrounds every route: the shell of tracing, metrics, limits and detached writes, and the operators' routes.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures::FutureExt;
use http::{Method, StatusCode, header};
use tokio::time::Instant;
use utoipa::openapi::{
    OpenApi,
    security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::{
    Health, Problem, Problems,
    described::{self, Described},
};
use crate::{
    lifecycle::Lifecycle,
    telemetry::{self, metrics},
};

/// The largest body that a route accepts unless it says otherwise, in bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// How long a request may take; the gateway waits longer, the provider's client shorter.
const TIMEOUT: Duration = Duration::from_secs(8);

/// What the operators' routes need to know about a service.
pub struct AppInfo {
    /// The service's one name.
    pub name: &'static str,
    /// The checks behind `/readyz` and `/health`.
    pub health: Health,
    /// The description of the routes, served at `/openapi.json`.
    pub openapi: OpenApi,
}

#[derive(Clone)]
struct Operations {
    health: Health,
    openapi: Bytes,
    life: Lifecycle,
}

/// Wraps a service's routes: problems for whatever is not routed, `/livez`, `/readyz`, `/health`, `/metrics` and
/// `/openapi.json`, a span, metrics, a body limit of 64 KiB, a timeout of 8 s, and [`detach_writes`]. In debug builds a
/// reply whose status or code the description does not name becomes 500 `undescribed`.
pub fn service(routes: Router, info: AppInfo, life: &Lifecycle) -> Router {
    let mut document = info.openapi;
    info.name.clone_into(&mut document.info.title);
    Problems::register(&mut document);
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let openapi = document.to_json().map(Bytes::from).unwrap_or_default();
    let operations = Operations {
        health: info.health,
        openapi,
        life: life.clone(),
    };
    let operators = Router::new()
        .route("/livez", get(|| async { "alive" }))
        .route("/readyz", get(ready))
        .route(
            "/health",
            get(|State(app): State<Operations>| async move { app.health.report().await }),
        )
        .route(
            "/metrics",
            get(|| async {
                (
                    [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
                    metrics::render(),
                )
            }),
        )
        .route(
            "/openapi.json",
            get(|State(app): State<Operations>| async move {
                ([(header::CONTENT_TYPE, "application/json")], app.openapi)
            }),
        )
        .with_state(operations);
    let routes = if cfg!(debug_assertions) {
        let described = Described::by(&document);
        routes.layer(middleware::from_fn_with_state(described, described::check))
    } else {
        routes
    };
    Router::new()
        .merge(routes)
        .merge(operators)
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this method is not allowed here",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(life.clone(), shell))
}

async fn ready(State(app): State<Operations>) -> Response {
    if app.life.is_leaving() {
        return Problem::unavailable().into_response();
    }
    app.health.ready().await
}

/// One request: its span, its metrics, its limits.
async fn shell(State(life): State<Lifecycle>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let parent = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    let span = telemetry::server_span(parent, method.as_str(), route);
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let response = telemetry::scope(&span, async {
        // A declared length far above every route's limit is refused before a byte of it is read.
        if declared.is_some_and(|length| length > 16 * BODY_LIMIT as u64) {
            return super::extract::too_large().into_response();
        }
        detach_writes(&life, &span, TIMEOUT, request, next).await
    })
    .await;
    telemetry::responded(&span, response.status().as_u16());
    metrics::http_request(
        &method,
        route,
        response.status().as_u16(),
        started.elapsed(),
    );
    response
}

/// Runs a request with an unsafe method in a task that a client who leaves cannot cancel; the timeout stands
/// outside of it, so that it answers the client but never cuts a write in half.
pub async fn detach_writes(
    life: &Lifecycle,
    span: &telemetry::ServerSpan,
    limit: Duration,
    request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    let outcome = if safe {
        tokio::time::timeout(limit, handled).await
    } else {
        let task = life.track(telemetry::scope(span, handled));
        tokio::time::timeout(limit, task)
            .await
            .map(|joined| joined.unwrap_or_else(|panic| Err(Box::new(panic))))
    };
    match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            metrics::http_panic(matched.as_ref().map_or("unmatched", MatchedPath::as_str));
            Problem::internal("the handler panicked").into_response()
        }
        Err(_) => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the request took too long; its outcome is not known",
        )
        .into_response(),
    }
}
