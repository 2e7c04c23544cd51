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
    model::{Charge, Fact, Transaction},
    reply::Reply,
    view::{ChargeView, List, TransactionView},
};

/// `GET /v1/balance_transactions/{id}`
pub(crate) async fn get(State(app): State<App>, Id(id): Id, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[], &[])?;
    let now = app.desk.now_ms();
    let tables = app.desk.store.read();
    let view = tables
        .transactions
        .get(&id)
        .and_then(|fact| view(fact, now));
    let view = view.ok_or_else(|| ApiError::missing("balance transaction", &id, "id"))?;
    Ok(Reply::ok(&view))
}

/// `GET /v1/balance_transactions`, of one charge where `source` is given.
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(
        &[&window::KNOWN[..], &["currency", "source", "type"]].concat(),
        &[],
    )?;
    let now = app.desk.now_ms();
    let window = Window::of(&call.params)?;
    let is = |name, value: &str| call.params.get(name).is_none_or(|wanted| wanted == value);
    let tables = app.desk.store.read();
    let created =
        |fact: &Arc<Fact>| transaction(fact).map_or(0, |(_, transaction)| transaction.created);
    let keep = |fact: &Arc<Fact>| {
        let source = transaction(fact).is_some_and(|(charge, _)| is("source", &charge.id));
        source && is("currency", &fact.intent.terms.currency) && is("type", "charge")
    };
    let (facts, has_more) =
        window.cut(&tables.transactions, "balance transaction", created, keep)?;
    let data: Vec<_> = facts
        .into_iter()
        .filter_map(|fact| view(fact, now))
        .collect();
    Ok(Reply::ok(&List::new(
        "/v1/balance_transactions",
        data,
        has_more,
    )))
}

fn transaction(fact: &Fact) -> Option<(&Charge, &Transaction)> {
    let charge = fact.charge.as_ref()?;
    charge
        .transaction
        .as_ref()
        .map(|transaction| (charge, transaction))
}

fn view(fact: &Fact, now: i64) -> Option<TransactionView<'_>> {
    let charge = fact.charge.as_ref()?;
    TransactionView::of(
        &ChargeView {
            charge,
            intent: &fact.intent,
            transaction_at: None,
        },
        now,
    )
}
