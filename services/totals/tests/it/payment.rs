//! The payment service's read of payments as they stand, by its contract, over a socket: a test decides what they are
//! and when a page is given. The real one is behind the fleet's tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use chassis::lifecycle::Lifecycle;
use common::{
    events::{PaymentEvent, PaymentSnapshots},
    ids::PaymentId,
};
use secrecy::ExposeSecret;
use tokio::{net::TcpListener, sync::Semaphore};
use uuid::Uuid;

/// How many payments a rebuild of these tests reads at once; the auditor reads more.
const REBUILD: usize = 3;

/// The payments, and how many pages a rebuild may have yet.
#[derive(Clone)]
pub struct Payments {
    pub url: String,
    kept: Arc<Mutex<BTreeMap<Uuid, PaymentEvent>>>,
    pages: Arc<Semaphore>,
    life: Lifecycle,
}

impl Payments {
    /// Serves them; a rebuild gets every page at once.
    pub async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let payments = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            kept: Arc::default(),
            pages: Arc::new(Semaphore::new(1_000_000)),
            life: Lifecycle::new(),
        };
        let router = Router::new()
            .route("/internal/payments", get(page))
            .with_state(payments.clone());
        let life = payments.life.clone();
        drop(payments.life.track(async move {
            let served = axum::serve(listener, router);
            tokio::select! {
                _ = served => {}
                () = life.stopping() => {}
            }
        }));
        payments
    }

    /// Has payments stand so.
    pub fn keep(&self, payments: impl IntoIterator<Item = PaymentEvent>) {
        let mut kept = self.kept.lock().unwrap();
        for payment in payments {
            kept.insert(payment.payment_id.get(), payment);
        }
    }

    /// All payments as they stand.
    pub fn all(&self) -> Vec<PaymentEvent> {
        self.kept.lock().unwrap().values().cloned().collect()
    }

    /// Takes all pages away from rebuilds, until some are given.
    pub fn hold(&self) {
        let free = self.pages.available_permits();
        self.pages.forget_permits(free);
    }

    /// Gives pages to rebuilds.
    pub fn give(&self, pages: usize) {
        self.pages.add_permits(pages);
    }

    fn after(&self, after: Uuid, limit: usize) -> PaymentSnapshots {
        let kept = self.kept.lock().unwrap();
        let rest = kept.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
        let payments: Vec<_> = rest.take(limit).map(|(_, one)| one.clone()).collect();
        let full = payments.len() == limit;
        let next = payments.last().filter(|_| full).map(|last| last.payment_id);
        PaymentSnapshots { payments, next }
    }
}

async fn page(
    State(payments): State<Payments>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> (StatusCode, Vec<u8>) {
    let secret = testkit::service_secret();
    let expected = format!("Bearer {}", secret.expose_secret());
    if headers["authorization"] != expected.as_str() {
        return (StatusCode::UNAUTHORIZED, Vec::new());
    }
    let query = query.unwrap_or_default();
    let value = |name: &str| {
        let pair = query.split('&').find(|pair| pair.starts_with(name));
        pair.and_then(|pair| pair.split_once('=')).unwrap().1
    };
    let limit = value("limit").parse().unwrap();
    let after: PaymentId = value("after").parse().unwrap();
    if limit == REBUILD {
        let Ok(Ok(permit)) =
            tokio::time::timeout(std::time::Duration::from_secs(2), payments.pages.acquire()).await
        else {
            return (StatusCode::SERVICE_UNAVAILABLE, Vec::new());
        };
        permit.forget();
    }
    let page = payments.after(after.get(), limit);
    (StatusCode::OK, serde_json::to_vec(&page).unwrap())
}
