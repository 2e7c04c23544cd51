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
    model::{PayoutFact, PayoutStatus},
    reply::Reply,
    view::{List, PayoutView},
};

/// `GET /v1/payouts/{id}`
pub(crate) async fn get(State(app): State<App>, Id(id): Id, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[], &[])?;
    let tables = app.desk.store.read();
    let fact = tables.payouts.get(&id);
    let fact = fact.ok_or_else(|| ApiError::missing("payout", &id, "payout"))?;
    Ok(Reply::ok(&PayoutView(&fact.payout)))
}

/// `GET /v1/payouts`, of one status where that is given.
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[&window::KNOWN[..], &["status"]].concat(), &[])?;
    let status = call
        .params
        .choice("status", &["failed", "paid", "pending"])?;
    let status = status.map(|status| match status.as_str() {
        "paid" => PayoutStatus::Paid,
        "failed" => PayoutStatus::Failed,
        _ => PayoutStatus::Pending,
    });
    let window = Window::of(&call.params)?;
    let tables = app.desk.store.read();
    let created = |fact: &Arc<PayoutFact>| fact.payout.created;
    let keep = |fact: &Arc<PayoutFact>| status.is_none_or(|status| status == fact.payout.status);
    let (facts, has_more) = window.cut(&tables.payouts, "payout", created, keep)?;
    let data = facts.iter().map(|fact| PayoutView(&fact.payout)).collect();
    Ok(Reply::ok(&List::new("/v1/payouts", data, has_more)))
}
