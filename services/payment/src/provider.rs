//! The one adapter to the payment provider: Stripe's API, or whatever speaks it.

use std::{sync::LazyLock, time::Duration};

use chassis::{clock::Clock, telemetry::metrics};
use http::{StatusCode, header};
use prometheus::IntCounterVec;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{
    breaker::Breaker,
    config::Psp,
    domain::{Frozen, is_reference},
};

/// The version of the API whose shapes this service knows.
const API_VERSION: &str = "2026-04-22.dahlia";
/// The largest reply that is read, in bytes.
const REPLY_LIMIT: usize = 256 * 1024;
/// How many calls may be open at once; when the provider is slow, the rest waits here and not there.
const SLOTS: usize = 128;
/// The pause before a call is repeated: after a connection that broke, or while its twin is still running.
const PAUSE: Duration = Duration::from_millis(100);

static CALLS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "psp_calls_total",
        "Calls to the payment provider by outcome.",
        &["call", "outcome"],
    )
});

/// A payment intent as the provider has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Intent {
    /// Its id.
    pub id: String,
    /// Whoever has it can pay the intent: never stored in clear, never logged.
    #[serde(deserialize_with = "secret")]
    pub client_secret: SecretString,
    /// Where it stands.
    pub status: String,
    /// What it is for, in minor units.
    pub amount: i64,
    /// Its currency, in lower case.
    pub currency: String,
    /// Whether it takes real money.
    pub livemode: bool,
}

/// Why a call has no intent for us.
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
    /// The provider will never open this intent.
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
}

impl Stripe {
    /// Prepares the client; nothing is sent yet.
    ///
    /// # Errors
    /// When the TLS backend cannot be set up, or the breaker's rest is beyond all measure.
    pub fn new(config: &Psp, clock: &Clock) -> anyhow::Result<Self> {
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
            breaker: Breaker::new(
                clock.clone(),
                chrono::Duration::from_std(config.breaker_rest)?,
            ),
        })
    }

    /// Opens the intent. Repeated with the same frozen call it answers with the same intent, for a day.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(&self, call: &Frozen) -> Result<Intent, Failure> {
        let url = format!("{}/v1/payment_intents", self.base);
        let request = || {
            self.http
                .post(&url)
                .header("idempotency-key", &call.key)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(call.request.clone())
        };
        self.call("open", request).await
    }

    /// Asks for an intent that is known.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn intent(&self, id: &str) -> Result<Intent, Failure> {
        let url = format!("{}/v1/payment_intents/{id}", self.base);
        self.call("get", || self.http.get(&url)).await
    }

    /// Both calls may be repeated, so a broken connection or a running twin is tried again, within one time limit.
    async fn call(
        &self,
        name: &str,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<Intent, Failure> {
        let deadline = Instant::now() + self.timeout;
        let slot = timeout_at(deadline, self.slots.acquire()).await;
        let outcome = loop {
            if slot.is_err() {
                break Err(Failure::Unavailable("too many calls are waiting"));
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

    async fn attempt(&self, request: reqwest::RequestBuilder) -> Result<Intent, Failure> {
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
        if self.breaker.failed() {
            tracing::error!(how, "the breaker before the payment provider opened");
        }
    }
}

impl Failure {
    const fn label(&self) -> &'static str {
        match self {
            Self::Unknown(_) | Self::Broken(_) | Self::Running(_) => "unknown",
            Self::Unavailable(_) => "unavailable",
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
pub fn read(status: StatusCode, body: &[u8]) -> Result<Intent, Failure> {
    if status.is_success() {
        let intent = serde_json::from_slice::<Intent>(body).ok();
        let intent = intent.filter(|intent| is_reference(&intent.id));
        return intent.ok_or_else(|| Failure::Unknown("the reply is not an intent".to_owned()));
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

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}
