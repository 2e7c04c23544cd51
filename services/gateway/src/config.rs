//! What the gateway is told by its environment.

use std::{str::FromStr, time::Duration};

use chassis::{clock::Clock, env::Env};
use http::{Uri, uri::Authority};
use ipnet::IpNet;

use crate::{
    limit::Policies,
    routes::{PerService, Service},
};

/// Everything that the gateway is told from outside.
#[derive(Clone)]
pub struct Config {
    /// Where each service can be reached; several addresses share the load.
    pub upstreams: PerService<Vec<Authority>>,
    /// Public keys of access tokens, as JSON from key id to key.
    pub public_keys: String,
    /// The proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The clients that no rate limit applies to, such as a load generator.
    pub unlimited: Vec<IpNet>,
    /// How much each client may ask.
    pub policies: Policies,
    /// How long a request may wait for the head of its reply.
    pub timeout: Duration,
    /// How many requests may wait for one upstream's reply, which is how many connections there are to it.
    pub in_flight: usize,
    /// How often each upstream is asked whether it is ready.
    pub health_interval: Duration,
    /// How many WebSockets may be open at once.
    pub sockets: usize,
    /// How many of them one client may have.
    pub sockets_per_client: usize,
    /// What the listener allows its clients.
    pub server: chassis::http::Limits,
    /// Source of the current time.
    pub clock: Clock,
}

impl Config {
    /// Reads `UPSTREAM_<SERVICE>` (comma-separated base URLs), `JWT_PUBLIC_KEYS`, `TRUSTED_PROXIES` and
    /// `RATE_LIMIT_ALLOW` (comma-separated networks), `UPSTREAM_TIMEOUT_MS`, `UPSTREAM_IN_FLIGHT`,
    /// `HEALTH_INTERVAL_MS`, `WS_SOCKETS` and
    /// `WS_SOCKETS_PER_CLIENT`.
    pub fn read(env: &mut Env) -> Self {
        Self {
            upstreams: PerService::of(|service| upstreams(env, service)),
            public_keys: env.string("JWT_PUBLIC_KEYS"),
            trusted_proxies: networks(env, "TRUSTED_PROXIES"),
            unlimited: networks(env, "RATE_LIMIT_ALLOW"),
            policies: Policies::default(),
            timeout: Duration::from_millis(env.parsed("UPSTREAM_TIMEOUT_MS", 30_000)),
            in_flight: env.parsed("UPSTREAM_IN_FLIGHT", 1024),
            health_interval: Duration::from_millis(env.parsed("HEALTH_INTERVAL_MS", 10_000)),
            sockets: env.parsed("WS_SOCKETS", 10_000),
            sockets_per_client: env.parsed("WS_SOCKETS_PER_CLIENT", 100),
            server: chassis::http::Limits::default(),
            clock: Clock::system(),
        }
    }
}

fn upstreams(env: &mut Env, service: Service) -> Vec<Authority> {
    let name = format!("UPSTREAM_{}", service.name().to_uppercase());
    let listed = env.string(&name);
    let parsed: Option<Vec<_>> = listed.split(',').map(|url| authority(url.trim())).collect();
    parsed.unwrap_or_else(|| {
        if !listed.is_empty() {
            env.problem(format!(
                "{name}={listed} is not a list of base URLs such as http://127.0.0.1:3001"
            ));
        }
        Vec::new()
    })
}

/// The authority of a base URL; nothing but `http://host:port` is one.
fn authority(url: &str) -> Option<Authority> {
    let uri: Uri = url.parse().ok()?;
    let bare = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
    uri.authority()
        .filter(|authority| bare && !authority.as_str().contains('@'))
        .cloned()
}

fn networks(env: &mut Env, name: &str) -> Vec<IpNet> {
    let listed = env.optional(name).unwrap_or_default();
    let entries = listed
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    let parsed: Option<Vec<_>> = entries.map(network).collect();
    parsed.unwrap_or_else(|| {
        env.problem(format!(
            "{name}={listed} is not a list of networks such as 10.0.0.0/8"
        ));
        Vec::new()
    })
}

/// A network, or a single address.
fn network(entry: &str) -> Option<IpNet> {
    IpNet::from_str(entry)
        .or_else(|_| entry.parse::<std::net::IpAddr>().map(IpNet::from))
        .ok()
}
