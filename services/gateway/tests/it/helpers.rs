//! A gateway, the servers behind it, and what those saw.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, response::IntoResponse};
use chassis::{
    env::Env,
    http::{Json, Limits},
    lifecycle::Lifecycle,
    telemetry,
};
use gateway::{Config, routes::Service};
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use testkit::Running;
use tokio::net::{TcpListener, TcpSocket};

/// What one of the servers saw of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The server's name.
    pub by: &'static str,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    /// A header's only value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert_eq!(values.next(), None, "{name} came twice");
        value.to_str().ok()
    }
}

/// A gateway and one echoing server per service, unless the test puts another in its place.
pub struct Fleet {
    pub gateway: Running,
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    peers: Lifecycle,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.peers.stop();
    }
}

impl Fleet {
    /// Everything as it is by default.
    pub async fn start() -> Self {
        Self::with(&[], |_| {}).await
    }

    /// With some services elsewhere, and the configuration as the test wants it.
    pub async fn with(
        elsewhere: &[(Service, String)],
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let quiet = telemetry::Config {
            endpoint: None,
            ratio: 0.0,
            filter: "off".into(),
        };
        let _without_exporter = telemetry::install("gateway", &quiet).expect("telemetry starts");
        let (seen, peers) = (Arc::default(), Lifecycle::new());
        let mut vars = HashMap::from([("JWT_PUBLIC_KEYS".to_owned(), testkit::public_keys())]);
        for service in Service::ALL {
            let given = elsewhere.iter().find(|(known, _)| *known == service);
            let url = match given {
                Some((_, url)) => url.clone(),
                None => serve(echo(service.name(), &seen), &peers).await,
            };
            vars.insert(format!("UPSTREAM_{}", service.name().to_uppercase()), url);
        }
        let mut env = Env::of(vars);
        let config = Config::read(&mut env);
        let mut config = env.finish(config).expect("the environment is whole");
        configure(&mut config);
        let gateway = testkit::serve(|listener, life| gateway::run(config, listener, life)).await;
        let address = gateway
            .url
            .trim_start_matches("http://")
            .parse()
            .expect("the URL is an address");
        Self {
            gateway,
            address,
            seen,
            peers,
        }
    }

    /// What the echoing servers saw, without the gateway's own questions.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The one request that got through.
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.into_iter().next().unwrap()
    }

    /// Sends a GET.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.request(Method::GET, path)
            .send()
            .await
            .expect("the gateway answers")
    }

    /// Begins a request.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.gateway.client.request(method, self.gateway.at(path))
    }
}

/// Serves a router on a free port and gives its base URL.
pub async fn serve(router: Router, life: &Lifecycle) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().unwrap());
    serve_on(listener, router, life);
    url
}

/// Serves a router on a listener, as services do.
pub fn serve_on(listener: TcpListener, router: Router, life: &Lifecycle) {
    let serving = life.clone();
    life.spawn("server behind the gateway", async move {
        chassis::http::serve_with(listener, router, &serving, Limits::default()).await
    });
}

/// A port that is taken and refuses connections until somebody listens at it.
pub fn closed_port() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind((Ipv4Addr::LOCALHOST, 0).into())
        .expect("a port is free");
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

/// A server that notes what it sees and says who it is.
pub fn echo(name: &'static str, seen: &Arc<Mutex<Vec<Seen>>>) -> Router {
    Router::new()
        .route("/readyz", axum::routing::get(|| async { "ready" }))
        .route(
            "/health",
            axum::routing::get(|| async {
                Json(json!({"status": "healthy", "checks": {"database": "up"}}))
            }),
        )
        .route(
            "/openapi.json",
            axum::routing::get(async || axum::http::StatusCode::NOT_FOUND),
        )
        .fallback(note)
        .with_state((name, seen.clone()))
}

async fn note(
    State((by, seen)): State<(&'static str, Arc<Mutex<Vec<Seen>>>)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    seen.lock().unwrap().push(Seen {
        by,
        method,
        uri: uri.clone(),
        headers,
        body,
    });
    // A reply may not carry headers of its connection onward, whatever a service sends.
    let headers = [
        ("connection", "x-inner"),
        ("x-inner", "1"),
        ("keep-alive", "timeout=5"),
        ("x-outer", "2"),
    ];
    (headers, Json(json!({"by": by, "uri": uri.to_string()})))
}

/// A reply's JSON.
pub async fn json_of(reply: reqwest::Response) -> Value {
    reply.json().await.expect("the reply is JSON")
}
