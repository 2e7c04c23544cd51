//! How much each client may ask: a bucket per client and kind of request, refilled steadily (GCRA).

use std::{net::IpAddr, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use chassis::{http::Problem, lifecycle::Lifecycle, telemetry::metrics};
use governor::middleware::StateInformationMiddleware;
use http::HeaderValue;
use ipnet::IpNet;
use prometheus::IntCounter;
use tower::Service;
use tower_governor::{
    GovernorError,
    governor::{Governor, GovernorConfigBuilder},
    key_extractor::KeyExtractor,
};

use crate::{
    edge::Visit,
    error::Error,
    proxy::Proxy,
    routes::{Kind, Route},
};

/// How often full buckets are thrown away; without that, each client ever seen would stay in memory.
const HOUSEKEEPING: Duration = Duration::from_mins(1);

/// One limit: a bucket of `burst` requests, into which one falls back every `period`.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Its name in the reply's headers and in metrics.
    pub name: &'static str,
    /// The size of the bucket.
    pub burst: u32,
    /// The time after which one more request is allowed.
    pub period: Duration,
}

/// The limits by kind of request.
#[derive(Clone, Copy, Debug)]
pub struct Policies {
    /// GET, HEAD and OPTIONS.
    pub reads: Policy,
    /// Everything that changes something.
    pub writes: Policy,
    /// Whatever takes credentials.
    pub login: Policy,
    /// The provider's deliveries, which are verified by their signature and only bounded here.
    pub webhooks: Policy,
}

impl Default for Policies {
    /// 100 reads a second in bursts of 200, 100 writes a minute, 5 logins a minute, 2,000 deliveries a second.
    fn default() -> Self {
        let policy = |name, burst, period| Policy {
            name,
            burst,
            period,
        };
        Self {
            reads: policy("reads", 200, Duration::from_millis(10)),
            writes: policy("writes", 100, Duration::from_millis(600)),
            login: policy("login", 5, Duration::from_secs(12)),
            webhooks: policy("webhooks", 2000, Duration::from_micros(500)),
        }
    }
}

/// Counts requests per client before they are passed on.
pub struct Limits {
    reads: Bucket,
    writes: Bucket,
    login: Bucket,
    webhooks: Bucket,
    unlimited: Vec<IpNet>,
    proxy: Proxy,
}

impl Limits {
    /// Limits in front of `proxy`, for all but the clients in `unlimited`.
    pub fn new(policies: Policies, unlimited: Vec<IpNet>, proxy: Proxy) -> Self {
        let bucket = |policy| Bucket::new(policy, proxy.clone());
        Self {
            reads: bucket(policies.reads),
            writes: bucket(policies.writes),
            login: bucket(policies.login),
            webhooks: bucket(policies.webhooks),
            unlimited,
            proxy,
        }
    }

    /// Passes a request on unless its client has asked too much.
    pub async fn answer(&self, visit: Visit, request: Request) -> Response {
        if visit.client.is_in(&self.unlimited) {
            return self.proxy.answer(visit, request).await;
        }
        self.bucket(visit.route, &request).answer(request).await
    }

    fn bucket(&self, route: Route, request: &Request) -> &Bucket {
        match route.kind {
            Kind::Login => &self.login,
            Kind::Webhook => &self.webhooks,
            Kind::Plain | Kind::Feed if request.method().is_safe() => &self.reads,
            Kind::Plain | Kind::Feed => &self.writes,
        }
    }

    /// Forgets the clients whose buckets are full again, once a minute.
    pub fn spawn_housekeeping(&self, life: &Lifecycle) {
        let limiters = [&self.reads, &self.writes, &self.login, &self.webhooks]
            .map(|bucket| bucket.governor.limiter.clone());
        let stopping = life.clone();
        life.spawn("limits", async move {
            while tokio::time::timeout(HOUSEKEEPING, stopping.stopping())
                .await
                .is_err()
            {
                for limiter in &limiters {
                    limiter.retain_recent();
                    limiter.shrink_to_fit();
                }
            }
            Ok(())
        });
    }
}

/// Tells clients apart for the limiter.
#[derive(Clone, Copy, Debug)]
struct ByClient;

impl KeyExtractor for ByClient {
    type Key = IpAddr;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<IpAddr, GovernorError> {
        request
            .extensions()
            .get::<Visit>()
            .map(|visit| visit.client.key())
            .ok_or(GovernorError::UnableToExtractKey)
    }
}

struct Bucket {
    policy: Policy,
    described: HeaderValue,
    governor: Governor<ByClient, StateInformationMiddleware, Proxy, Body>,
}

impl Bucket {
    fn new(policy: Policy, proxy: Proxy) -> Self {
        let config = GovernorConfigBuilder::default()
            // One more request each period; `per_second(n)` would not be n a second, but one every n seconds.
            .period(policy.period.max(Duration::from_nanos(1)))
            .burst_size(policy.burst.max(1))
            .key_extractor(ByClient)
            .use_headers()
            .finish()
            .unwrap_or_else(|| unreachable!("neither the burst nor the period is zero"));
        let refused = metrics::counter(
            "gateway_rate_limited_total",
            "Requests refused by a rate limit.",
            &["policy"],
        )
        .with_label_values(&[policy.name]);
        let governor =
            Governor::new(proxy, &config).error_handler(move |error| refuse(&refused, &error));
        let described = format!(
            "\"{}\";q={};w={}",
            policy.name,
            policy.burst,
            policy.refill(policy.burst)
        );
        let described = HeaderValue::try_from(described)
            .unwrap_or_else(|_| unreachable!("policies have plain names"));
        Self {
            policy,
            described,
            governor,
        }
    }

    /// Passes a request on or refuses it, and says in the reply's headers how much is left
    /// (draft-ietf-httpapi-ratelimit-headers).
    async fn answer(&self, request: Request) -> Response {
        let mut response = match self.governor.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let headers = response.headers_mut();
        headers.remove("x-ratelimit-limit");
        let left = headers
            .remove("x-ratelimit-remaining")
            .and_then(|left| left.to_str().ok()?.parse().ok())
            .unwrap_or(0);
        let Policy { name, burst, .. } = self.policy;
        let state = format!(
            "\"{name}\";r={left};t={}",
            self.policy.refill(burst.saturating_sub(left))
        );
        headers.insert("ratelimit-policy", self.described.clone());
        headers.extend(
            HeaderValue::try_from(state)
                .ok()
                .map(|state| (http::HeaderName::from_static("ratelimit"), state)),
        );
        response
    }
}

impl Policy {
    /// In how many seconds so many requests fall back into the bucket, rounded up.
    fn refill(&self, requests: u32) -> u64 {
        self.period
            .saturating_mul(requests)
            .as_millis()
            .div_ceil(1000)
            .try_into()
            .unwrap_or(u64::MAX)
    }
}

fn refuse(refused: &IntCounter, error: &GovernorError) -> Response {
    let GovernorError::TooManyRequests { wait_time, .. } = error else {
        return Problem::internal("a request has no client").into_response();
    };
    refused.inc();
    // The wait is cut to whole seconds, and a retry must not come too early.
    let seconds = u32::try_from(*wait_time)
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    Problem::from(Error::RateLimited(seconds)).into_response()
}
