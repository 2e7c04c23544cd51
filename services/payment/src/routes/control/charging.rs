//! `GET` and `PUT /api/admin/payments/charging`

use axum::{extract::State, response::IntoResponse};
use chassis::{
    http::{Json, Problems},
    telemetry,
};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    idempotency::{self, Claim, Joined, Reply},
    ids::UserId,
    openapi::IdempotencyKey,
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    db::controls::{self, Control},
    error::Error,
};

chassis::problems!(Refusals:
    422 invalid_reason,
);

/// The longest reason, in characters.
const REASON: usize = 500;

/// How the switch is to stand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCharging {
    /// Whether new charges are stopped.
    paused: bool,
    /// Why; it is kept.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Whether new charges are made.
#[derive(Serialize, ToSchema)]
pub struct Charging {
    /// Whether new charges are stopped.
    paused: bool,
    /// Why it was turned last; none while it never was.
    reason: Option<String>,
    /// The admin who turned it last.
    changed_by: Option<UserId>,
    changed_at: Option<DateTime<Utc>>,
}

/// Whether new charges are made. For admins.
#[utoipa::path(
    get, path = "/api/admin/payments/charging", tag = "admin", operation_id = "get_charging",
    security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "how the switch stands", body = Charging), Problems),
)]
pub async fn get(State(app): State<App>, _: Admin) -> Result<impl IntoResponse, Error> {
    let control = controls::charging(app.db.pool()).await?;
    Ok((
        [(header::CACHE_CONTROL, "no-store")],
        Json(Charging::from(control)),
    ))
}

/// Stops new charges, or lets them go on. For admins.
///
/// What was charged before goes on being recorded, refunded and settled.
#[utoipa::path(
    put, path = "/api/admin/payments/charging", tag = "admin", operation_id = "put_charging",
    params(IdempotencyKey), request_body = NewCharging, security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "how the switch stands now", body = Charging), Refusals),
)]
pub async fn put(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Json(body): Json<NewCharging>,
) -> Result<Reply, Error> {
    let reason = body.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON || reason.contains('\0') {
        return app.idempotency.refuse(&claim, Error::Reason).await;
    }
    let control = Control {
        paused: body.paused,
        reason: reason.to_owned(),
        changed_by: by.user_id,
        changed_at: app.clock.now(),
    };
    let trace_id = telemetry::trace_id();
    let mut tx = app.db.begin().await?;
    let reply = Reply::json(StatusCode::OK, &Charging::from(Some(control.clone())));
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, &claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    controls::turn_charging(&mut tx, &control, trace_id.as_deref()).await?;
    tx.commit().await?;
    app.switch.turn(body.paused);
    tracing::warn!(user.id = %by.user_id, paused = body.paused, "the switch of new charges was turned");
    Ok(reply)
}

impl From<Option<Control>> for Charging {
    fn from(control: Option<Control>) -> Self {
        match control {
            None => Self {
                paused: false,
                reason: None,
                changed_by: None,
                changed_at: None,
            },
            Some(control) => Self {
                paused: control.paused,
                reason: Some(control.reason),
                changed_by: Some(control.changed_by),
                changed_at: Some(control.changed_at),
            },
        }
    }
}
