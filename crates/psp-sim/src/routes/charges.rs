use std::sync::Arc;

use axum::extract::State;

use super::{
    path::Id,
    window::{self, Window},
};
use crate::{
    App,
    call::Call,
    error::ApiError,
    model::Fact,
    reply::Reply,
    view::{ChargeView, List},
};

/// `GET /v1/charges/{id}`
pub(crate) async fn get(State(app): State<App>, Id(id): Id, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[], &["balance_transaction"])?;
    let transaction_at = call
        .expands("balance_transaction")
        .then(|| app.desk.now_ms());
    let tables = app.desk.store.read();
    let view = tables
        .charges
        .get(&id)
        .and_then(|fact| view(fact, transaction_at));
    let view = view.ok_or_else(|| ApiError::missing("charge", &id, "id"))?;
    Ok(Reply::ok(&view))
}

/// `GET /v1/charges`, of one intent where `payment_intent` is given.
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(
        &[&window::KNOWN[..], &["payment_intent"]].concat(),
        &["data.balance_transaction"],
    )?;
    let transaction_at = call
        .expands("data.balance_transaction")
        .then(|| app.desk.now_ms());
    let intent = call.params.get("payment_intent");
    let window = Window::of(&call.params)?;
    let tables = app.desk.store.read();
    let created = |fact: &Arc<Fact>| fact.charge.as_ref().map_or(0, |charge| charge.created);
    let keep = |fact: &Arc<Fact>| intent.is_none_or(|intent| intent == fact.intent_id());
    let (facts, has_more) = window.cut(&tables.charges, "charge", created, keep)?;
    let data: Vec<_> = facts
        .into_iter()
        .filter_map(|fact| view(fact, transaction_at))
        .collect();
    Ok(Reply::ok(&List::new("/v1/charges", data, has_more)))
}

fn view(fact: &Fact, transaction_at: Option<i64>) -> Option<ChargeView<'_>> {
    let charge = fact.charge.as_ref()?;
    Some(ChargeView {
        charge,
        intent: &fact.intent,
        transaction_at,
    })
}
