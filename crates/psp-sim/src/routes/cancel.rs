use axum::extract::State;

use super::path::Id;
use crate::{App, call::Call, error::ApiError, machine, reply::Reply};

const REASONS: [&str; 4] = [
    "duplicate",
    "fraudulent",
    "requested_by_customer",
    "abandoned",
];

/// `POST /v1/payment_intents/{id}/cancel`
pub(crate) async fn cancel(State(app): State<App>, Id(id): Id, call: Call) -> Reply {
    call.write(&app, |desk, call, origin| async move {
        call.merchant()?;
        call.only(&["cancellation_reason"], &["latest_charge"])?;
        let reason = call.params.text("cancellation_reason");
        if let Some(other) = reason.as_deref().filter(|reason| !REASONS.contains(reason)) {
            let message = format!(
                "Invalid cancellation_reason: must be one of {}; got {other}",
                REASONS.join(", ")
            );
            return Err(ApiError::invalid(message).param("cancellation_reason"));
        }
        let slot = call.intent(&desk, &id)?;
        let now = desk.now();
        Ok(desk
            .act(&slot, origin, |fact| machine::cancel(fact, reason, now))
            .await)
    })
    .await
}
