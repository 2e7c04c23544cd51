use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    path::Id,
    pay::{act, html, intent},
};
use crate::{App, error::ApiError, form::Params, machine, page};

/// `GET /authenticate/{id}?client_secret=..`: where an intent that requires an action sends its payer.
pub(crate) async fn show(
    State(app): State<App>,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = Params::parse(query.unwrap_or_default().as_bytes());
    match visit.and_then(|params| intent(&app, &id, &params)) {
        Ok(slot) => html(StatusCode::OK, page::challenge(&slot.latest().intent)),
        Err(_) => html(StatusCode::NOT_FOUND, page::unknown()),
    }
}

/// `POST /authenticate/{id}`: whether the payer proved who they are. Clicking twice charges once.
pub(crate) async fn submit(State(app): State<App>, Id(id): Id, body: Bytes) -> Response {
    let visit = Params::parse(&body).and_then(|params| Ok((intent(&app, &id, &params)?, params)));
    let Ok((slot, params)) = visit else {
        return html(StatusCode::NOT_FOUND, page::unknown());
    };
    let proved = match params.get("action") {
        Some("authenticate") => true,
        Some("fail") => false,
        _ => return html(StatusCode::BAD_REQUEST, page::unknown()),
    };
    let outcome = act(&app, &slot, move |fact, bank| {
        machine::authenticate(fact, proved, bank)
    })
    .await;
    if outcome.is_server_error() {
        return ApiError::internal().into_response();
    }
    html(StatusCode::OK, page::challenge(&slot.latest().intent))
}
