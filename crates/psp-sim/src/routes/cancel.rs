use axum::extract::State;

use super::path::Id;
use crate::{App, call::Call, machine, reply::Reply};

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
        let reason = call.params.choice("cancellation_reason", &REASONS)?;
        let slot = call.intent(&desk, &id)?;
        Ok(desk
            .act(&slot, origin, |fact, bank| {
                machine::cancel(fact, reason, bank)
            })
            .await)
    })
    .await
}
