//! `/health`: how the whole platform is, composed of what each service says of itself.

use std::{collections::BTreeMap, time::Duration};

use axum::response::{IntoResponse, Response};
use chassis::http::Json;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{App, routes::Service};

/// How long an answer is given again, so that asking often costs the services nothing.
pub const KEPT: Duration = Duration::from_secs(1);

/// How something is; the worst of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Healthy,
    /// It serves, without something that it would like to have.
    Degraded,
    /// It does not serve.
    Unhealthy,
}

/// How the platform is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Platform {
    /// The worst of the services.
    status: Status,
    /// Each service by name.
    services: BTreeMap<&'static str, ServiceHealth>,
    /// When the services were asked.
    timestamp: DateTime<Utc>,
}

/// How one service is.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ServiceHealth {
    /// How it is as a whole. It is degraded while one of its processes is away.
    status: Status,
    /// What it checked, `up` or `down`.
    #[serde(default)]
    checks: BTreeMap<String, String>,
}

impl IntoResponse for Platform {
    fn into_response(self) -> Response {
        let status = if self.status == Status::Unhealthy {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        };
        (status, Json(self)).into_response()
    }
}

/// Asks every service.
pub async fn compose(app: &App) -> Platform {
    let asked =
        Service::ALL.map(|service| async move { (service.name(), ask(app, service).await) });
    let services: BTreeMap<_, _> = join_all(asked).await.into_iter().collect();
    let status = services
        .values()
        .map(|service| service.status)
        .max()
        .unwrap_or(Status::Healthy);
    Platform {
        status,
        services,
        timestamp: app.clock.now(),
    }
}

/// Asks every process of a service: one that serves is enough for the service to serve.
async fn ask(app: &App, service: Service) -> ServiceHealth {
    let asked = app.upstreams[service]
        .all()
        .iter()
        .map(|upstream| upstream.ask(&app.client, "/health"));
    let parse = |answer: Option<(StatusCode, bytes::Bytes)>| {
        serde_json::from_slice::<ServiceHealth>(&answer?.1).ok()
    };
    let answers: Vec<_> = join_all(asked).await.into_iter().map(parse).collect();
    let statuses = answers.iter().map(|answer| {
        answer
            .as_ref()
            .map_or(Status::Unhealthy, |answer| answer.status)
    });
    let status = match (statuses.clone().min(), statuses.max()) {
        (Some(best), Some(worst)) if best < Status::Unhealthy => worst.min(Status::Degraded),
        _ => Status::Unhealthy,
    };
    let mut checks = BTreeMap::new();
    for (name, state) in answers
        .into_iter()
        .flatten()
        .flat_map(|answer| answer.checks)
    {
        let known = checks.entry(name).or_insert_with(|| state.clone());
        if state != "up" {
            *known = state;
        }
    }
    ServiceHealth { status, checks }
}
