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
    reply::Reply,
    store::Notice,
    view::{EventView, List},
};

/// `GET /v1/events/{id}`
pub(crate) async fn get(State(app): State<App>, Id(id): Id, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[], &[])?;
    let notice = app
        .desk
        .store
        .notice(&id)
        .ok_or_else(|| ApiError::missing("event", &id, "id"))?;
    Ok(Reply::ok(&view(&notice)))
}

/// `GET /v1/events`, of the given `type` or `types[]`, delivered or not.
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(
        &[&window::KNOWN[..], &["delivery_success", "type", "types"]].concat(),
        &[],
    )?;
    let window = Window::of(&call.params)?;
    let types = call.params.list("types");
    let one = call.params.get("type");
    let delivered = call
        .params
        .get("delivery_success")
        .map(|value| value == "true");
    let tables = app.desk.store.read();
    let created = |notice: &Arc<Notice>| notice.fact.at.div_euclid(1000);
    let keep = |notice: &Arc<Notice>| {
        let name = notice.event().name.as_str();
        one.is_none_or(|one| one == name)
            && (types.is_empty() || types.contains(&name))
            && delivered.is_none_or(|delivered| delivered == notice.is_delivered())
    };
    let (notices, has_more) = window.cut(&tables.events, "event", created, keep)?;
    let data: Vec<_> = notices.into_iter().map(|notice| view(notice)).collect();
    Ok(Reply::ok(&List::new("/v1/events", data, has_more)))
}

fn view(notice: &Notice) -> EventView<'_> {
    EventView {
        event: notice.event(),
        fact: &notice.fact,
    }
}
