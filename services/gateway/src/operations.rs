//! The routes that the gateway answers itself.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use chassis::{
    http::Problem,
    lifecycle::Lifecycle,
    telemetry::{self, metrics},
};
use http::{Method, header};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    App,
    error::Error,
    health::{self, Platform},
    openapi,
};

/// What the gateway's own routes need.
#[derive(Clone)]
pub struct Operations {
    app: Arc<App>,
    life: Lifecycle,
    health: Arc<Kept<Platform>>,
    document: Arc<Kept<Bytes>>,
}

/// The routes of operators and of whoever wants to read about the API.
pub fn router(app: &Arc<App>, life: &Lifecycle) -> Router {
    let state = Operations {
        app: app.clone(),
        life: life.clone(),
        health: Arc::default(),
        document: Arc::default(),
    };
    Router::new()
        .route("/livez", get(|| async { "alive" }))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(|| async {
                (
                    [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
                    metrics::render(),
                )
            }),
        )
        .route("/health", get(health))
        .route("/openapi.json", get(document))
        .method_not_allowed_fallback(refuse_method)
        .with_state(state)
}

async fn refuse_method(method: Method) -> Response {
    let span = telemetry::server_span(None, method.as_str(), "unmatched");
    let refused = async { Problem::from(Error::MethodNotAllowed).into_response() };
    let mut response = telemetry::scope(&span, refused).await;
    // The router names the methods that this route has; the problem would name those that any route may have.
    response.headers_mut().remove(header::ALLOW);
    response
}

/// The gateway is ready as soon as it serves: which upstream is away is its business, not a reason to leave it.
async fn ready(State(operations): State<Operations>) -> Response {
    if operations.life.is_leaving() {
        Problem::unavailable().into_response()
    } else {
        "ready".into_response()
    }
}

/// How the platform is, service by service.
#[utoipa::path(get, path = "/health", tag = "platform", security(()), responses(
    (status = 200, body = Platform, description = "every service serves"),
    (status = 503, body = Platform, description = "a service does not serve"),
))]
pub async fn health(State(operations): State<Operations>) -> Platform {
    operations
        .health
        .get(async || (health::compose(&operations.app).await, health::KEPT))
        .await
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "platform", security(()), responses((status = 200, description = "the OpenAPI document")))]
pub async fn document(State(operations): State<Operations>) -> impl IntoResponse {
    let compose = async || {
        let merged = openapi::compose(&operations.app).await;
        let kept = if merged.complete {
            openapi::KEPT
        } else {
            openapi::KEPT_INCOMPLETE
        };
        (Bytes::from(merged.document.to_string()), kept)
    };
    (
        [(header::CONTENT_TYPE, "application/json")],
        operations.document.get(compose).await,
    )
}

/// An answer that is made once for all who ask while it is fresh.
struct Kept<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Kept<T> {
    async fn get(&self, make: impl AsyncFnOnce() -> (T, Duration)) -> T {
        let mut kept = self.0.lock().await;
        if let Some((until, answer)) = &*kept
            && Instant::now() < *until
        {
            return answer.clone();
        }
        let (answer, fresh) = make().await;
        *kept = Some((Instant::now() + fresh, answer.clone()));
        answer
    }
}
