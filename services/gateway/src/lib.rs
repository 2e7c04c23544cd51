//! The one door: every request from outside comes in here and goes on to the service that owns its path.
//!
//! Serves `/api/*` (alias `/api/v1/*`), `/.well-known/jwks.json`, `/health` and `/openapi.json`, and passes
//! WebSockets at `/api/ws` through. Consumes and produces no topic, owns no table, keeps no secret.
//!
//! Invariants: a header that names an identity or an address never comes from outside; a token that does not verify
//! is refused before anything is forwarded; a body is streamed, never collected; a request is sent a second time only
//! where that cannot do its work twice. Every refusal is `application/problem+json` with the trace id.
//!
//! A request reads in this order: `edge` (trace, route, client), `limit`, `proxy` (token, headers, sending), `turns`.

mod body;
pub mod breaker;
mod checks;
pub mod client;
mod config;
mod edge;
mod error;
pub mod forwarding;
mod health;
mod limit;
mod openapi;
mod operations;
mod proxy;
pub mod routes;
mod sockets;
mod turns;
mod upstream;

use std::{sync::Arc, time::Duration};

use chassis::{clock::Clock, lifecycle::Lifecycle};
use common::auth::Verifier;
use ipnet::IpNet;
use tokio::net::TcpListener;

use crate::{
    edge::Edge, limit::Limits, proxy::Proxy, routes::PerService, sockets::Sockets,
    turns::Upstreams, upstream::HttpClient,
};
pub use config::Config;
pub use limit::{Policies, Policy};
pub use openapi::openapi;

/// What every request needs.
struct App {
    verifier: Verifier,
    client: HttpClient,
    upstreams: PerService<Upstreams>,
    sockets: Arc<Sockets>,
    trusted_proxies: Vec<IpNet>,
    timeout: Duration,
    clock: Clock,
    life: Lifecycle,
}

/// Serves until the process is asked to stop.
///
/// # Errors
/// Where a public key of the configuration does not parse.
pub async fn run(config: Config, listener: TcpListener, life: Lifecycle) -> anyhow::Result<()> {
    let app = Arc::new(App {
        verifier: Verifier::new(&config.public_keys, config.clock.clone())
            .map_err(anyhow::Error::msg)?,
        client: upstream::client(),
        upstreams: PerService::of(|service| {
            Upstreams::new(
                service,
                &config.upstreams[service],
                config.in_flight,
                &config.clock,
            )
        }),
        sockets: Sockets::new(config.sockets, config.sockets_per_client),
        trusted_proxies: config.trusted_proxies,
        timeout: config.timeout,
        clock: config.clock,
        life: life.clone(),
    });
    let limits = Limits::new(config.policies, config.unlimited, Proxy::new(app.clone()));
    checks::spawn(&app, config.health_interval, &life);
    limits.spawn_housekeeping(&life);
    let router = operations::router(&app, &life).fallback_service(Edge::new(app, limits));
    chassis::http::serve_with(listener, router, &life, config.server).await
}
