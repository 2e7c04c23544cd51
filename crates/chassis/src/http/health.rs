//! Whether a process is alive, whether it is ready, and how its neighbours are.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use super::Json;
use crate::{cache::Cache, db::Db, kafka::Kafka};

type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// How long a check may take before it counts as failed.
const LIMIT: Duration = Duration::from_millis(1500);

/// The checks of one service. Only required ones decide readiness: a service whose broker or cache is away is
/// degraded, and goes on serving.
#[derive(Clone, Default)]
pub struct Health(Vec<(&'static str, bool, Check)>);

#[derive(Serialize)]
struct Report {
    status: &'static str,
    checks: BTreeMap<&'static str, &'static str>,
}

impl Health {
    /// No checks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check.
    #[must_use]
    pub fn with<F>(
        mut self,
        name: &'static str,
        required: bool,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.0
            .push((name, required, Arc::new(move || Box::pin(check()))));
        self
    }

    /// Requires the service's own database.
    #[must_use]
    pub fn database(self, db: &Db) -> Self {
        let db = db.clone();
        self.with("database", true, move || {
            let db = db.clone();
            async move { db.ready().await }
        })
    }

    /// Notes whether the broker is there; without it facts wait, and the service goes on.
    #[must_use]
    pub fn kafka(self, kafka: &Kafka) -> Self {
        let kafka = kafka.clone();
        self.with("kafka", false, move || {
            let kafka = kafka.clone();
            async move { kafka.healthy().await }
        })
    }

    /// Notes whether Redis is there; without it everything is right and slower.
    #[must_use]
    pub fn redis(self, cache: &Cache) -> Self {
        let cache = cache.clone();
        self.with("redis", false, move || {
            let cache = cache.clone();
            async move { cache.healthy().await }
        })
    }

    /// 200 when every required check holds, else 503.
    pub async fn ready(&self) -> Response {
        self.answer(true).await
    }

    /// Every check by name; 503 when a required one fails, `degraded` when another one does.
    pub async fn report(&self) -> Response {
        self.answer(false).await
    }

    async fn answer(&self, required_only: bool) -> Response {
        let chosen: Vec<_> = self
            .0
            .iter()
            .filter(|(_, required, _)| *required || !required_only)
            .collect();
        let asked = chosen
            .iter()
            .map(|(_, _, check)| tokio::time::timeout(LIMIT, check()));
        let answers = futures::future::join_all(asked).await;
        let mut report = Report {
            status: "healthy",
            checks: BTreeMap::new(),
        };
        for ((name, required, _), answer) in chosen.into_iter().zip(answers) {
            let up = matches!(answer, Ok(true));
            report.checks.insert(name, if up { "up" } else { "down" });
            if !up && (*required || report.status == "unhealthy") {
                report.status = "unhealthy";
            } else if !up {
                report.status = "degraded";
            }
        }
        let status = if report.status == "unhealthy" {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        };
        (status, Json(report)).into_response()
    }
}
