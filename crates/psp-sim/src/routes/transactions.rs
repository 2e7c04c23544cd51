use axum::extract::State;

use super::{
    path::Id,
    window::{self, Window},
};
use crate::{
    App,
    call::Call,
    error::ApiError,
    reply::Reply,
    store::Posting,
    view::{List, TransactionView},
};

/// `GET /v1/balance_transactions/{id}`
pub(crate) async fn get(State(app): State<App>, Id(id): Id, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[], &[])?;
    let now = app.desk.now_ms();
    let tables = app.desk.store.read();
    let posting = tables.balance.postings.get(&id);
    let posting = posting.ok_or_else(|| ApiError::missing("balance transaction", &id, "id"))?;
    Ok(Reply::ok(&TransactionView::posted(posting, now)))
}

/// `GET /v1/balance_transactions`, of one source, type, currency or payout where that is given.
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(
        &[
            &window::KNOWN[..],
            &["currency", "payout", "source", "type"],
        ]
        .concat(),
        &[],
    )?;
    let now = app.desk.now_ms();
    let window = Window::of(&call.params)?;
    let is = |name, value: &str| call.params.get(name).is_none_or(|wanted| wanted == value);
    let tables = app.desk.store.read();
    // Which entries a payout by hand has paid out nobody knows: it takes from the whole balance.
    let by_hand = |id: &str| {
        tables
            .payouts
            .get(id)
            .is_some_and(|it| !it.payout.automatic)
    };
    if call.params.get("payout").is_some_and(by_hand) {
        let message =
            "Balance transaction history can only be filtered on automatic transfers, not manual.";
        return Err(ApiError::invalid(message));
    }
    let created = |posting: &Posting| posting.transaction.created;
    let keep = |posting: &Posting| {
        let (kind, _) = posting.transaction.kind.names();
        is("source", &posting.transaction.source)
            && is("currency", &posting.currency)
            && is("type", kind)
            && is("payout", posting.payout.as_deref().unwrap_or_default())
    };
    let postings = &tables.balance.postings;
    let (postings, has_more) = window.cut(postings, "balance transaction", created, keep)?;
    let view = |posting| TransactionView::posted(posting, now);
    let data: Vec<_> = postings.into_iter().map(view).collect();
    Ok(Reply::ok(&List::new(
        "/v1/balance_transactions",
        data,
        has_more,
    )))
}
