use axum::extract::State;

use super::path::Id;
use crate::{
    App,
    call::Call,
    error::ApiError,
    reply::Reply,
    view::{Audience, ChargeView, IntentView},
};

/// `GET /v1/payment_intents/{id}`
pub(crate) async fn get(State(app): State<App>, Id(id): Id, call: Call) -> Result<Reply, ApiError> {
    call.only(&[], &["latest_charge", "latest_charge.balance_transaction"])?;
    let fact = call.intent(&app.desk, &id)?.latest();
    let deep = call.expands("latest_charge.balance_transaction");
    let expanded = (deep || call.expands("latest_charge")) && call.audience == Audience::Merchant;
    let intent = &fact.intent;
    let charge = fact
        .charge
        .as_ref()
        .filter(|_| expanded)
        .map(|charge| ChargeView {
            charge,
            intent,
            transaction_at: deep.then(|| app.desk.now_ms()),
        });
    Ok(Reply::ok(&IntentView {
        intent,
        audience: call.audience,
        charge,
    }))
}
