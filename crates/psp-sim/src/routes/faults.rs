use axum::{body::Bytes, extract::State};
use serde_json::json;

use crate::{App, error::ApiError, faults::Faults, reply::Reply};

/// `POST /_sim/faults`: what goes wrong with events and calls that come from now on.
pub(crate) async fn set(State(app): State<App>, body: Bytes) -> Result<Reply, ApiError> {
    let faults =
        Faults::parse(&body).map_err(|why| ApiError::invalid(format!("Unusable faults: {why}")))?;
    app.desk.mishaps.set(Some(&faults), app.desk.seed);
    app.desk.webhooks.misbehave(Some(faults)).await;
    get(State(app)).await
}

/// `GET /_sim/faults`
pub(crate) async fn get(State(app): State<App>) -> Result<Reply, ApiError> {
    let state = app
        .desk
        .webhooks
        .state()
        .await
        .ok_or_else(ApiError::internal)?;
    Ok(Reply::ok(
        &json!({ "faults": state.faults, "paused": state.paused }),
    ))
}

/// `DELETE /_sim/faults`
pub(crate) async fn clear(State(app): State<App>) -> Result<Reply, ApiError> {
    app.desk.mishaps.set(None, app.desk.seed);
    app.desk.webhooks.misbehave(None).await;
    get(State(app)).await
}
