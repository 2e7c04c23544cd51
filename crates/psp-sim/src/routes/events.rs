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

/// How long events can be read, in milliseconds.
const KEPT: i64 = 30 * 24 * 3600 * 1000;

/// `GET /v1/events/{id}`
pub(crate) async fn get(State(app): State<App>, Id(id): Id, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[], &[])?;
    let notice = app
        .desk
        .store
        .notice(&id)
        .filter(|notice| is_kept(notice, app.desk.now_ms()))
        .ok_or_else(|| ApiError::missing("event", &id, "id"))?;
    Ok(Reply::ok(&EventView(&notice)))
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
    let now = app.desk.now_ms();
    let tables = app.desk.store.read();
    let created = |notice: &Arc<Notice>| notice.at().div_euclid(1000);
    let keep = |notice: &Arc<Notice>| {
        let name = notice.event().name.as_str();
        is_kept(notice, now)
            && one.is_none_or(|one| one == name)
            && (types.is_empty() || types.contains(&name))
            && delivered.is_none_or(|delivered| delivered == notice.is_delivered())
    };
    let (notices, has_more) = window.cut(&tables.events, "event", created, keep)?;
    let data: Vec<_> = notices
        .into_iter()
        .map(|notice| EventView(notice))
        .collect();
    Ok(Reply::ok(&List::new("/v1/events", data, has_more)))
}

/// Whether the event is not too old to be read.
fn is_kept(notice: &Notice, now: i64) -> bool {
    now.saturating_sub(notice.at()) <= KEPT
}
