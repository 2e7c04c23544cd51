//! The one adapter to the payment provider: Stripe's API, or whatever speaks it. Here is how a call is made; what is
//! called is in the file of its object.

mod bucket;
mod inquiry;
mod intent;
mod money_back;
mod payout;

pub use bucket::{Bucket, patiently};
pub use inquiry::{Charge, Inquired, Listed, Span};
pub use intent::Intent;

use std::{sync::LazyLock, time::Duration};

use chassis::{clock::Clock, telemetry::metrics};
use http::{StatusCode, header};
use prometheus::IntCounterVec;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{breaker::Breaker, config::Psp, domain::Frozen};

/// The version of the API whose shapes this service knows.
const API_VERSION: &str = "2026-04-22.dahlia";
/// How long a call may be repeated under its key. The provider remembers a key for a day; after that the same call would
/// open a second intent, or make a second refund.
pub const REMEMBERED: chrono::Duration = chrono::Duration::hours(23);
/// The largest reply that is read, in bytes. A page has a hundred objects, and an event of a charge holds the whole charge:
/// Stripe's own example has five kilobytes, before any metadata.
const REPLY_LIMIT: usize = 8 * 1024 * 1024;
/// How many calls may be open at once; when the provider is slow, the rest waits here and not there.
const SLOTS: usize = 128;
/// The pause before a call is repeated: after a connection that broke, or while its twin is still running.
const PAUSE: Duration = Duration::from_millis(100);

/// How long everybody waits when the provider says that it is too much, and not how long.
const BUSY: Duration = Duration::from_secs(1);

/// The codes by which the provider says that an object's state does not allow what was asked.
const UNFIT: [&str; 6] = [
    "payment_intent_unexpected_state",
    "charge_already_captured",
    "charge_already_refunded",
    "charge_disputed",
    "charge_expired_for_capture",
    "refund_disputed_payment",
];

static CALLS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "psp_calls_total",
        "Calls to the payment provider by outcome.",
        &["call", "outcome"],
    )
});

/// Why a call has no answer for us.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No answer that counts: the call may have had its effect, and is repeated with the same key and bytes.
    #[error("the provider gave no answer: {0}")]
    Unknown(String),
    /// The connection broke before the answer was whole: as unknown, and worth another try at once.
    #[error("the connection to the provider broke: {0}")]
    Broken(String),
    /// Nobody was asked, or the provider has no time: it had no effect.
    #[error("the provider is not available: {0}")]
    Unavailable(&'static str),
    /// The same call is still running there, from a twin of this one.
    #[error("the provider is still busy with the same call: {0}")]
    Running(String),
    /// There is no such object.
    #[error("the provider knows no such object")]
    Missing,
    /// The object does not stand where this can be done to it: whoever called must look at it again.
    #[error("the object is not in a state for this: {code}")]
    Unfit {
        /// The provider's stable code.
        code: String,
        /// Its text.
        message: Option<String>,
    },
    /// The provider will never do this.
    #[error("the provider refused: {code}")]
    Refused {
        /// Whether it was the donor's means (402), or the request itself.
        declined: bool,
        /// The provider's stable code.
        code: String,
        /// Its text.
        message: Option<String>,
    },
    /// A mistake of ours, such as a wrong key: an operator must act.
    #[error("the provider does not accept us: {0}")]
    Misconfigured(String),
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Default, Deserialize)]
struct ErrorDetail {
    #[serde(rename = "type", default)]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    param: Option<String>,
    message: Option<String>,
}

/// The provider's API.
pub struct Stripe {
    http: reqwest::Client,
    base: String,
    key: SecretString,
    timeout: Duration,
    breaker: Breaker,
    slots: Semaphore,
    bucket: Bucket,
}

impl Stripe {
    /// Prepares the client, which makes `rate` requests a second at most; nothing is sent yet.
    ///
    /// # Errors
    /// When the TLS backend cannot be set up, or the breaker's rest is beyond all measure.
    pub fn new(config: &Psp, rate: u32, clock: &Clock) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        Ok(Self {
            http,
            base: config.url.trim_end_matches('/').to_owned(),
            key: config.secret_key.clone(),
            timeout: config.timeout,
            slots: Semaphore::new(SLOTS),
            bucket: Bucket::new(rate),
            breaker: Breaker::new(
                clock.clone(),
                chrono::Duration::from_std(config.breaker_rest)?,
            ),
        })
    }

    /// Reads an object.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        name: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        let url = format!("{}{path}?{query}", self.base);
        self.call(name, || self.http.get(url.trim_end_matches('?')))
            .await
    }

    /// Makes a frozen call. Repeated with the same key and bytes it has its effect once, for a day.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        name: &str,
        path: &str,
        call: &Frozen,
    ) -> Result<T, Failure> {
        let url = format!("{}{path}", self.base);
        let request = || {
            self.http
                .post(&url)
                .header("idempotency-key", &call.key)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(call.request.clone())
        };
        self.call(name, request).await
    }

    /// Every call may be repeated, so a broken connection or a running twin is tried again, within one time limit.
    async fn call<T: DeserializeOwned>(
        &self,
        name: &str,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + self.timeout;
        let slot = timeout_at(deadline, self.slots.acquire()).await;
        let outcome = loop {
            if slot.is_err() {
                break Err(Failure::Unavailable("too many calls are waiting"));
            }
            if timeout_at(deadline, self.bucket.take()).await.is_err() {
                break Err(Failure::Unavailable("too many requests"));
            }
            if !self.breaker.admits() {
                break Err(Failure::Unavailable("the breaker is open"));
            }
            match timeout_at(deadline, self.attempt(request())).await {
                Ok(Err(Failure::Broken(_) | Failure::Running(_)))
                    if Instant::now() + PAUSE < deadline =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                // It had no effect, and the bucket knows by now how long to wait.
                Ok(Err(Failure::Unavailable(_))) if Instant::now() + PAUSE < deadline => {}
                Ok(outcome) => break outcome,
                Err(_) => {
                    self.failed("timeout");
                    break Err(Failure::Unknown("no reply in time".to_owned()));
                }
            }
        };
        let label = outcome.as_ref().map_or_else(Failure::label, |_| "ok");
        CALLS.with_label_values(&[name, label]).inc();
        outcome
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Failure> {
        let sent = request
            .bearer_auth(self.key.expose_secret())
            .header("stripe-version", API_VERSION)
            .send()
            .await;
        let mut response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                self.failed("connect");
                // This try had no effect, but an earlier one may have had.
                return Err(Failure::Unknown("no connection".to_owned()));
            }
            Err(error) => {
                // Somebody took the connection and dropped it; one that was kept too long looks like this as well.
                self.breaker.succeeded();
                return Err(broken(error));
            }
        };
        self.breaker.succeeded();
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let after = response.headers().get(header::RETRY_AFTER);
            let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
            self.bucket.close(after.map_or(BUSY, Duration::from_secs));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > REPLY_LIMIT {
                return Err(Failure::Unknown("the reply is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        read(status, &body)
    }

    fn failed(&self, how: &'static str) {
        let opened = if bucket::is_patient() {
            self.breaker.failed_patiently()
        } else {
            self.breaker.failed()
        };
        if opened {
            tracing::error!(how, "the breaker before the payment provider opened");
        }
    }
}

impl Failure {
    /// Whether the provider has answered, and asked again would say the same.
    pub const fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Missing | Self::Unfit { .. } | Self::Refused { .. } | Self::Misconfigured(_)
        )
    }

    const fn label(&self) -> &'static str {
        match self {
            Self::Unknown(_) | Self::Broken(_) | Self::Running(_) => "unknown",
            Self::Unavailable(_) => "unavailable",
            Self::Missing => "missing",
            Self::Unfit { .. } => "unfit",
            Self::Refused { .. } => "refused",
            Self::Misconfigured(_) => "misconfigured",
        }
    }
}

fn broken(error: reqwest::Error) -> Failure {
    Failure::Broken(error.without_url().to_string())
}

/// Understands a reply.
///
/// # Errors
/// [`Failure`]: only what is about the donor's means, the amount or the currency is a refusal for good. Any other
/// complaint about a request of ours would be the same for every payment, and must not end them all.
pub fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, Failure> {
    if status.is_success() {
        return serde_json::from_slice(body)
            .map_err(|_| Failure::Unknown("the reply is not what was asked for".to_owned()));
    }
    let detail = serde_json::from_slice::<ErrorBody>(body)
        .unwrap_or_default()
        .error;
    let code = detail.code.as_deref().unwrap_or_default();
    let said = format!("{} {} {code}", status.as_u16(), detail.kind);
    let declined = status == StatusCode::PAYMENT_REQUIRED;
    let about_this_payment = matches!(detail.param.as_deref(), Some("amount" | "currency"));
    Err(match status {
        StatusCode::CONFLICT => Failure::Running(said),
        StatusCode::TOO_MANY_REQUESTS => Failure::Unavailable("too many requests"),
        StatusCode::NOT_FOUND if code == "resource_missing" => Failure::Missing,
        StatusCode::BAD_REQUEST if UNFIT.contains(&code) => Failure::Unfit {
            code: code.to_owned(),
            message: detail.message,
        },
        _ if declined || (status == StatusCode::BAD_REQUEST && about_this_payment) => {
            Failure::Refused {
                declined,
                code: detail.decline_code.or(detail.code).unwrap_or(detail.kind),
                message: detail.message,
            }
        }
        _ if status.is_client_error() => Failure::Misconfigured(said),
        _ => Failure::Unknown(said),
    })
}
