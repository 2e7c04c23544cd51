use std::sync::Arc;

use axum::extract::State;

use super::window::{self, Window};
use crate::{
    App,
    call::Call,
    error::ApiError,
    reply::Reply,
    store::Slot,
    view::{Audience, IntentView, List},
};

/// `GET /v1/payment_intents`
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&window::KNOWN, &[])?;
    let window = Window::of(&call.params)?;
    let tables = app.desk.store.read();
    let created = |slot: &Arc<Slot>| slot.latest().intent.terms.created;
    let (slots, has_more) = window.cut(&tables.intents, "payment_intent", created, |_| true)?;
    let facts: Vec<_> = slots.into_iter().map(|slot| slot.latest()).collect();
    let view = |fact| IntentView {
        intent: fact,
        audience: Audience::Merchant,
        charge: None,
    };
    let data = facts.iter().map(|fact| view(&fact.intent)).collect();
    Ok(Reply::ok(&List::new("/v1/payment_intents", data, has_more)))
}
