//! A desk before the provider: it passes every request on, keeps what was asked for, and refuses what a test says.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, response::IntoResponse};
use chassis::lifecycle::Lifecycle;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use tokio::net::TcpListener;

/// The desk.
#[derive(Clone)]
pub struct Desk {
    client: reqwest::Client,
    listener: Arc<Mutex<Option<TcpListener>>>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    provider: String,
    asked: Vec<String>,
    refused: Option<String>,
}

impl Desk {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            client: reqwest::Client::new(),
            listener: Arc::new(Mutex::new(Some(listener))),
            shared: Arc::default(),
        }
    }

    pub fn address(&self) -> std::net::SocketAddr {
        let listener = self.listener.lock().unwrap();
        listener.as_ref().unwrap().local_addr().unwrap()
    }

    /// Opens it, before this provider.
    pub fn lead_to(&self, provider: &str, life: &Lifecycle) {
        provider.clone_into(&mut self.shared.lock().unwrap().provider);
        let listener = self.listener.lock().unwrap().take().unwrap();
        let desk = Router::new().fallback(pass).with_state(self.clone());
        let stopping = life.clone();
        life.track(async move {
            tokio::select! {
                served = axum::serve(listener, desk).into_future() => served.unwrap(),
                () = stopping.stopping() => {}
            }
        });
    }

    /// Refuses for good, from now on, what has this in its path.
    pub fn refuse(&self, part: String) {
        self.shared.lock().unwrap().refused = Some(part);
    }

    /// How often something was asked for that has this in its path and query.
    pub fn asked(&self, part: &str) -> usize {
        let shared = self.shared.lock().unwrap();
        shared.asked.iter().filter(|url| url.contains(part)).count()
    }
}

async fn pass(
    State(desk): State<Desk>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let (url, is_refused) = {
        let mut shared = desk.shared.lock().unwrap();
        shared.asked.push(uri.to_string());
        let refused = shared.refused.as_deref();
        let is_refused = refused.is_some_and(|part| uri.path().contains(part));
        (format!("{}{uri}", shared.provider), is_refused)
    };
    if is_refused {
        let error = r#"{"error": {"type": "card_error", "code": "card_declined", "decline_code": "lost_card"}}"#;
        return (StatusCode::PAYMENT_REQUIRED, error).into_response();
    }
    let mut request = desk.client.request(method, url).body(body);
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
        "stripe-version",
    ] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let reply = request.send().await.unwrap();
    let status = reply.status();
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, reply.bytes().await.unwrap()).into_response()
}
