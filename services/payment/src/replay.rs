//! Events that were kept, made ready to be judged again.

use crate::{
    app::App,
    db::webhook_log,
    delivery::{Delivery, Source},
    domain::{Notice, is_name},
    error::Error,
};

/// Reads an event as it came; none where it was never kept.
///
/// # Errors
/// When its bytes do not open any more.
pub async fn load(
    app: &App,
    event: &str,
    source: Source,
    trace_id: Option<String>,
) -> Result<Option<Delivery>, Error> {
    if !is_name(event) {
        return Ok(None);
    }
    let Some(kept) = webhook_log::find(app.db.pool(), event).await? else {
        return Ok(None);
    };
    let clear = app.sealer.open(event.as_bytes(), &kept.body);
    let clear = clear.map_err(|error| Error::Internal(format!("event {event}: {error}")))?;
    let notice = Notice::read(&clear, app.settings.livemode)
        .map_err(|error| Error::Internal(format!("event {event}: {error}")))?;
    Ok(Some(Delivery {
        notice,
        body: Vec::new(),
        signature: String::new(),
        headers: None,
        trace_id,
        received_at: kept.received_at,
        source,
    }))
}
