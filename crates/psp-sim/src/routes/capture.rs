use axum::extract::State;

use super::path::Id;
use crate::{App, call::Call, machine, reply::Reply};

/// `POST /v1/payment_intents/{id}/capture`
pub(crate) async fn capture(State(app): State<App>, Id(id): Id, call: Call) -> Reply {
    call.write(&app, |desk, call, origin| async move {
        call.merchant()?;
        call.only(&["amount_to_capture"], &["latest_charge"])?;
        let amount = call.params.integer("amount_to_capture")?;
        let slot = call.intent(&desk, &id)?;
        Ok(desk
            .act(&slot, origin, |fact, bank| {
                machine::capture(fact, amount, bank)
            })
            .await)
    })
    .await
}
