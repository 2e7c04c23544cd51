//! Every route on one screen.

mod authenticate;
mod balance;
mod cancel;
mod capture;
mod charges;
mod confirm;
mod create;
mod disputes;
mod events;
mod faults;
mod get;
mod ledger;
mod list;
mod path;
mod pay;
mod payouts;
mod refunds;
mod sim;
mod transactions;
mod webhooks;
mod window;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
    middleware,
    routing::{get as read, post},
};

use crate::{App, call, error::ApiError, reply::Reply};

/// The largest request body, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// The API, the pay page and the simulator's own controls.
pub(crate) fn router(app: App) -> Router {
    let api = Router::new()
        .route("/v1/payment_intents", post(create::create).get(list::list))
        .route("/v1/payment_intents/{id}", read(get::get))
        .route("/v1/payment_intents/{id}/confirm", post(confirm::confirm))
        .route("/v1/payment_intents/{id}/capture", post(capture::capture))
        .route("/v1/payment_intents/{id}/cancel", post(cancel::cancel))
        .route("/v1/charges", read(charges::list))
        .route("/v1/charges/{id}", read(charges::get))
        .route("/v1/refunds", post(refunds::create).get(refunds::list))
        .route("/v1/refunds/{id}", post(refunds::update).get(refunds::get))
        .route("/v1/refunds/{id}/cancel", post(refunds::cancel))
        .route("/v1/disputes", read(disputes::list))
        .route(
            "/v1/disputes/{id}",
            post(disputes::update).get(disputes::get),
        )
        .route("/v1/disputes/{id}/close", post(disputes::close))
        .route("/v1/balance", read(balance::get))
        .route("/v1/payouts", read(payouts::list))
        .route("/v1/payouts/{id}", read(payouts::get))
        .route("/v1/balance_transactions", read(transactions::list))
        .route("/v1/balance_transactions/{id}", read(transactions::get))
        .route("/v1/events", read(events::list))
        .route("/v1/events/{id}", read(events::get))
        .layer(middleware::from_fn_with_state(app.clone(), call::stamp));
    let controls = Router::new()
        .route("/_sim/ledger", read(ledger::ledger))
        .route(
            "/_sim/faults",
            post(faults::set).get(faults::get).delete(faults::clear),
        )
        .route("/_sim/charges/{id}/dispute", post(sim::dispute))
        .route("/_sim/disputes/{id}", post(sim::rule))
        .route("/_sim/refunds/{id}", post(sim::settle))
        .route("/_sim/payouts", post(sim::pay_out))
        .route("/_sim/payouts/{id}", post(sim::arrive))
        .route("/_sim/rate", post(sim::limit).get(sim::rate))
        .route("/_sim/webhooks/pause", post(webhooks::pause))
        .route("/_sim/webhooks/resume", post(webhooks::resume))
        .route("/_sim/events", read(webhooks::list))
        .route("/_sim/events/{id}/resend", post(webhooks::resend))
        .route("/_sim/idle", read(webhooks::idle));
    let page = Router::new()
        .route("/pay/{id}", read(pay::show).post(pay::submit))
        .route(
            "/authenticate/{id}",
            read(authenticate::show).post(authenticate::submit),
        )
        .route("/assets/pay.css", read(pay::style));
    Router::new()
        .merge(api)
        .merge(controls)
        .merge(page)
        .route("/livez", read(|| async { "alive" }))
        .route("/readyz", read(|| async { "ready" }))
        .fallback(unrecognized)
        .method_not_allowed_fallback(unrecognized)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(app)
}

async fn unrecognized(method: Method, uri: Uri) -> Reply {
    ApiError::unrecognized(method.as_str(), uri.path()).into()
}
