//! The payment service's own word: its payments as they stand, page by page.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chassis::kafka::Fault;
use common::events::PaymentSnapshots;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// How long a page may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads payments of the service that owns them; clones share their connections.
#[derive(Clone)]
pub(crate) struct Payments(Arc<Reader>);

struct Reader {
    http: reqwest::Client,
    bases: Vec<String>,
    secret: SecretString,
    /// Which instance is asked: the next one after a failure.
    turn: AtomicUsize,
}

impl Payments {
    /// Prepares the client; nothing is asked yet.
    ///
    /// # Errors
    /// When the TLS backend cannot be set up.
    pub(crate) fn new(bases: Vec<String>, secret: SecretString) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self(Arc::new(Reader {
            http,
            bases,
            secret,
            turn: AtomicUsize::new(0),
        })))
    }

    /// At most `limit` payments whose ids come after one.
    ///
    /// # Errors
    /// A transient fault when the service cannot be reached, or does not answer as agreed.
    pub(crate) async fn after(&self, after: Uuid, limit: u32) -> Result<PaymentSnapshots, Fault> {
        let read = self.read(after, limit).await;
        if read.is_err() {
            self.0.turn.fetch_add(1, Ordering::Relaxed);
        }
        read.map_err(Fault::transient)
    }

    async fn read(&self, after: Uuid, limit: u32) -> reqwest::Result<PaymentSnapshots> {
        let Reader {
            http,
            bases,
            secret,
            turn,
        } = &*self.0;
        let turn = turn.load(Ordering::Relaxed) % bases.len().max(1);
        let base = bases.get(turn).map_or("", String::as_str);
        let request = http
            .get(format!("{base}/internal/payments"))
            .query(&[("after", after.to_string()), ("limit", limit.to_string())])
            .bearer_auth(secret.expose_secret());
        request.send().await?.error_for_status()?.json().await
    }
}
