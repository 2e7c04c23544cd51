use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::path::Id;
use crate::{
    App,
    call::check_secret,
    desk::Origin,
    error::ApiError,
    form::Params,
    machine::{self, Bank, Change},
    model::Fact,
    page::{self, Notice},
    store::Slot,
};

const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// `GET /pay/{id}?client_secret=..`: the amount, and buttons to pay or decline.
pub(crate) async fn show(
    State(app): State<App>,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = Params::parse(query.unwrap_or_default().as_bytes());
    let visit = visit.and_then(|params| Ok((intent(&app, &id, &params)?, params)));
    let Ok((slot, params)) = visit else {
        return html(StatusCode::NOT_FOUND, page::unknown());
    };
    html(
        StatusCode::OK,
        page::checkout(
            &slot.latest().intent,
            &Notice::None,
            params.get("return_url"),
        ),
    )
}

/// `POST /pay/{id}`: what the payer chose. Clicking twice charges once.
pub(crate) async fn submit(State(app): State<App>, Id(id): Id, body: Bytes) -> Response {
    let visit = Params::parse(&body).and_then(|params| Ok((intent(&app, &id, &params)?, params)));
    let Ok((slot, params)) = visit else {
        return html(StatusCode::NOT_FOUND, page::unknown());
    };
    let token = match params.get("action") {
        Some("pay") => "pm_card_visa",
        Some("decline") => "pm_card_chargeDeclined",
        _ => return html(StatusCode::BAD_REQUEST, page::unknown()),
    };
    let outcome = act(&app, &slot, move |fact, bank| {
        machine::confirm(fact, Some(token.to_owned()), None, bank)
    })
    .await;
    if outcome.is_server_error() {
        return ApiError::internal().into_response();
    }
    let intent = &slot.latest().intent;
    let why = intent
        .last_error
        .as_ref()
        .map(|error| error.decline.message.clone());
    let notice = match (outcome, why) {
        (StatusCode::OK, _) => Notice::Paid,
        (StatusCode::PAYMENT_REQUIRED, Some(why)) => Notice::Declined(why),
        _ => Notice::None,
    };
    html(
        StatusCode::OK,
        page::checkout(intent, &notice, params.get("return_url")),
    )
}

/// Does what a click asks for. It goes on even when the browser leaves in the middle of it.
pub(super) async fn act(
    app: &App,
    slot: &Arc<Slot>,
    decide: impl FnOnce(&Fact, &Bank<'_>) -> Result<Change, ApiError> + Send + 'static,
) -> StatusCode {
    let (desk, slot) = (app.desk.clone(), slot.clone());
    let work = async move { desk.act(&slot, Origin::own(), decide).await };
    let done = app.desk.life.track(work).await;
    done.map_or(StatusCode::INTERNAL_SERVER_ERROR, |reply| reply.status)
}

/// `GET /assets/pay.css`
pub(crate) async fn style() -> Response {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        page::STYLE,
    )
        .into_response()
}

pub(super) fn intent(app: &App, id: &str, params: &Params) -> Result<Arc<Slot>, ApiError> {
    let slot = app
        .desk
        .store
        .slot(id)
        .ok_or_else(|| ApiError::missing("payment_intent", id, "intent"))?;
    check_secret(&slot, params.get("client_secret"))?;
    Ok(slot)
}

/// A page that nothing stores, frames or learns the address of: its address holds the client secret.
pub(super) fn html(status: StatusCode, page: String) -> Response {
    let mut response = (status, Html(page)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}
