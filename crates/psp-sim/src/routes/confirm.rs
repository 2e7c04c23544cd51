use axum::extract::State;

use super::path::Id;
use crate::{App, call::Call, machine, reply::Reply};

/// What browsers and servers send along; those without an effect here are Stripe's all the same.
const KNOWN: [&str; 7] = [
    "expected_payment_method_type",
    "mandate_data",
    "off_session",
    "payment_method",
    "receipt_email",
    "return_url",
    "use_stripe_sdk",
];

/// `POST /v1/payment_intents/{id}/confirm`
pub(crate) async fn confirm(State(app): State<App>, Id(id): Id, call: Call) -> Reply {
    call.write(&app, |desk, call, origin| async move {
        call.only(&KNOWN, &["latest_charge"])?;
        let slot = call.intent(&desk, &id)?;
        let token = call.params.text("payment_method");
        let back = call.params.text("return_url");
        Ok(desk
            .act(&slot, origin, |fact, bank| {
                machine::confirm(fact, token, back, bank)
            })
            .await)
    })
    .await
}
