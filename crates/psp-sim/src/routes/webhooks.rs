use std::sync::{Arc, atomic::Ordering};

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::{faults, path::Id};
use crate::{App, error::ApiError, form::Params, reply::Reply, store::Notice};

/// `POST /_sim/webhooks/pause`: events wait from now on.
pub(crate) async fn pause(State(app): State<App>) -> Result<Reply, ApiError> {
    app.desk.webhooks.pause(true).await;
    faults::get(State(app)).await
}

/// `POST /_sim/webhooks/resume`: what waited is sent.
pub(crate) async fn resume(State(app): State<App>) -> Result<Reply, ApiError> {
    app.desk.webhooks.pause(false).await;
    faults::get(State(app)).await
}

/// `POST /_sim/events/{id}/resend`: sends an event once more, even during a pause, and says how it went.
pub(crate) async fn resend(State(app): State<App>, Id(id): Id) -> Result<Reply, ApiError> {
    let notice = app
        .desk
        .store
        .notice(&id)
        .ok_or_else(|| ApiError::missing("event", &id, "id"))?;
    let sent = app
        .desk
        .webhooks
        .resend(notice.clone())
        .await
        .ok_or_else(ApiError::internal)?;
    Ok(Reply::ok(&json!({
        "id": id, "type": notice.event().name,
        "delivered": sent.delivered, "status": sent.status, "error": sent.error,
    })))
}

/// `GET /_sim/events?payment_intent=..`: events and their deliveries, oldest first.
pub(crate) async fn list(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Reply, ApiError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())?;
    let intent = params.get("payment_intent");
    let tables = app.desk.store.read();
    let wanted =
        |notice: &&Arc<Notice>| intent.is_none_or(|intent| notice.intent() == Some(intent));
    let data: Vec<_> = tables
        .events
        .all()
        .iter()
        .filter(wanted)
        .map(|notice| delivery(notice))
        .collect();
    Ok(Reply::ok(&json!({ "data": data })))
}

/// `GET /_sim/idle`: how many events the receiver has still to hear of.
pub(crate) async fn idle(State(app): State<App>) -> Reply {
    Reply::ok(&json!({ "undelivered": app.desk.store.undelivered().len() }))
}

fn delivery(notice: &Notice) -> Value {
    let status = notice.last_status.load(Ordering::Relaxed);
    json!({
        "id": notice.event().id, "type": notice.event().name, "payment_intent": notice.intent(),
        "created": notice.at().div_euclid(1000), "attempts": notice.attempts.load(Ordering::Relaxed),
        "delivered": notice.is_delivered(), "dropped": notice.is_dropped(), "last_status": (status > 0).then_some(status),
    })
}
