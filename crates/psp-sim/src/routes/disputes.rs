use std::sync::Arc;

use axum::extract::State;

use super::{
    path::Id,
    window::{self, Window},
};
use crate::{
    App,
    call::Call,
    desk::Desk,
    error::ApiError,
    machine,
    reply::Reply,
    store::{Part, Slot},
    view::{DisputeView, EVIDENCE, List},
};

/// `GET /v1/disputes/{id}`
pub(crate) async fn get(State(app): State<App>, Id(id): Id, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[], &[])?;
    let now = app.desk.now_ms();
    let tables = app.desk.store.read();
    let view = tables.disputes.get(&id).and_then(|part| view(part, now));
    let view = view.ok_or_else(|| ApiError::missing("dispute", &id, "dispute"))?;
    Ok(Reply::ok(&view))
}

/// `GET /v1/disputes`, of one charge or intent where that is given.
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(
        &[&window::KNOWN[..], &["charge", "payment_intent"]].concat(),
        &[],
    )?;
    let now = app.desk.now_ms();
    let (charge, intent) = (call.params.get("charge"), call.params.get("payment_intent"));
    let window = Window::of(&call.params)?;
    let tables = app.desk.store.read();
    let created = |part: &Part| part.dispute().map_or(0, |(_, dispute)| dispute.created);
    let keep = |part: &Part| {
        let of = part.charge().map(|charge| charge.id.as_str());
        charge.is_none_or(|charge| of == Some(charge))
            && intent.is_none_or(|intent| intent == part.fact.intent_id())
    };
    let (parts, has_more) = window.cut(&tables.disputes, "dispute", created, keep)?;
    let data: Vec<_> = parts
        .into_iter()
        .filter_map(|part| view(part, now))
        .collect();
    Ok(Reply::ok(&List::new("/v1/disputes", data, has_more)))
}

/// `POST /v1/disputes/{id}`: evidence, sent to the bank at once unless `submit` is false.
pub(crate) async fn update(State(app): State<App>, Id(id): Id, call: Call) -> Reply {
    call.write(&app, |desk, call, origin| async move {
        call.merchant()?;
        call.only(&["evidence", "metadata", "submit"], &[])?;
        let evidence = call.params.map("evidence");
        if let Some(name) = evidence
            .keys()
            .find(|name| !EVIDENCE.contains(&name.as_str()))
        {
            let name = format!("evidence[{name}]");
            let message = format!("Received unknown parameter: {name}");
            return Err(ApiError::invalid(message)
                .code("parameter_unknown")
                .param(name));
        }
        let metadata = call.params.metadata()?;
        let send = call.params.choice("submit", &["true", "false"])?;
        let send = send.is_none_or(|send| send == "true");
        let slot = slot(&desk, &id)?;
        Ok(desk
            .act(&slot, origin, |fact, bank| {
                machine::submit(fact, &id, evidence, metadata, send, bank)
            })
            .await)
    })
    .await
}

/// `POST /v1/disputes/{id}/close`: the merchant gives in.
pub(crate) async fn close(State(app): State<App>, Id(id): Id, call: Call) -> Reply {
    call.write(&app, |desk, call, origin| async move {
        call.merchant()?;
        call.only(&[], &[])?;
        let slot = slot(&desk, &id)?;
        Ok(desk
            .act(&slot, origin, |fact, bank| machine::close(fact, &id, bank))
            .await)
    })
    .await
}

/// The intent to which the dispute `id` belongs.
pub(super) fn slot(desk: &Desk, id: &str) -> Result<Arc<Slot>, ApiError> {
    let tables = desk.store.read();
    let part = tables.disputes.get(id);
    part.and_then(|part| tables.intents.get(part.fact.intent_id()))
        .cloned()
        .ok_or_else(|| ApiError::missing("dispute", id, "dispute"))
}

fn view(part: &Part, now: i64) -> Option<DisputeView<'_>> {
    let (charge, dispute) = part.dispute()?;
    DisputeView::of(charge, &part.fact.intent, &dispute.id, now)
}
