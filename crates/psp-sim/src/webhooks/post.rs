use std::{sync::atomic::Ordering, time::Duration};

use chassis::clock::Clock;
use reqwest::{Client, Url, header, redirect::Policy};
use serde::Serialize;

use super::{forgery::Forgery, signature};
use crate::{store::Notice, view};

/// How long the receiver may take. It is longer than a service's own timeout, whose 504 then says more.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where webhooks go, and how they are signed.
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    secrets: Vec<String>,
    /// The event types that the endpoint asked for; empty means all.
    events: Vec<String>,
    clock: Clock,
}

/// How one delivery went.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sent {
    /// Whether the receiver answered 2xx.
    pub(crate) delivered: bool,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<&'static str>,
}

impl Endpoint {
    pub(crate) fn new(
        url: &str,
        secrets: &str,
        events: Vec<String>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        let url = url
            .parse()
            .map_err(|error| anyhow::anyhow!("the webhook url is not usable: {error}"))?;
        let secrets = secrets
            .split(',')
            .map(|secret| secret.trim().to_owned())
            .collect();
        let events = events.into_iter().filter(|event| event != "*").collect();
        Ok(Self {
            client,
            url,
            secrets,
            events,
            clock,
        })
    }

    /// Whether the endpoint asked for events of this type.
    pub(crate) fn wants(&self, notice: &Notice) -> bool {
        self.events.is_empty() || self.events.contains(&notice.event().name)
    }

    /// Sends an event once.
    pub(super) async fn post(&self, notice: &Notice) -> Sent {
        notice.attempts.fetch_add(1, Ordering::Relaxed);
        let sent = self.send(view::event(notice), &self.secrets).await;
        if let Some(status) = sent.status {
            notice.last_status.store(status, Ordering::Relaxed);
        }
        sent
    }

    /// Sends what is no event of ours.
    pub(super) async fn post_forged(&self, forgery: &Forgery) -> Sent {
        let strange = ["whsec_of_somebody_else".to_owned()];
        let secrets = if forgery.genuine {
            &self.secrets[..]
        } else {
            &strange
        };
        self.send(forgery.body.clone(), secrets).await
    }

    async fn send(&self, body: String, secrets: &[String]) -> Sent {
        let timestamp = self.clock.now().timestamp();
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header(
                header::USER_AGENT,
                "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            )
            .header(
                "stripe-signature",
                signature::header(secrets, timestamp, body.as_bytes()),
            )
            .body(body);
        match request.send().await {
            Ok(response) => {
                let status = response.status();
                // Reading the body to its end lets the connection be used again.
                let _ = response.bytes().await;
                Sent {
                    delivered: status.is_success(),
                    status: Some(status.as_u16()),
                    error: None,
                }
            }
            Err(error) => {
                let error = if error.is_timeout() {
                    "timeout"
                } else if error.is_connect() {
                    "connection failed"
                } else {
                    "connection lost"
                };
                Sent {
                    error: Some(error),
                    ..Sent::default()
                }
            }
        }
    }
}
