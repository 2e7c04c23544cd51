//! `GET /api/payments/{id}/checkout`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chassis::http::{Path, Query};
use common::ids::PaymentId;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use tracing::Instrument;
use utoipa::IntoParams;

use super::create::admit;
use crate::{
    App,
    charge::{Begun, Payer},
    db::lookup,
    error::Error,
};

chassis::problems!(Refusals:
    402 payment_declined,
    403 ticket_required ticket_invalid ticket_expired,
    409 payment_closed,
    410 pledge_expired,
    422 payment_refused,
    429 payment_velocity,
    503 psp_unavailable charging_paused,
);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Admission {
    /// The ticket that came with the pledge.
    ticket: Option<String>,
}

/// Opens the payment of a pledge in a browser, and sends the donor to the page to pay on.
///
/// A GET with an effect, since a link can be nothing else: its ticket allows that effect and no other, and a second
/// visit finds the intent of the first.
#[utoipa::path(
    get, path = "/api/payments/{id}/checkout", tag = "payments", operation_id = "checkout",
    params(("id" = PaymentId, Path, description = "the payment"), Admission), security(("ticket" = [])),
    responses((status = 303, description = "to the page to pay on"), Refusals),
)]
pub async fn checkout(
    State(app): State<App>,
    Path(id): Path<PaymentId>,
    headers: HeaderMap,
    Query(admission): Query<Admission>,
) -> Result<Response, Error> {
    // Unsafe methods run where a client who leaves cannot cancel them; this GET has an effect as well.
    let client = app.clients.of(&headers);
    let work = open(app.clone(), id, admission, client).in_current_span();
    let joined = app.life.track(work).await;
    let url = joined.map_err(|error| Error::Internal(error.to_string()))??;
    let headers = [
        (header::LOCATION, url),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

async fn open(
    app: App,
    id: PaymentId,
    admission: Admission,
    client: Option<String>,
) -> Result<String, Error> {
    let ticket = admission.ticket.ok_or(Error::TicketRequired)?;
    let ticket = app.signer.open(&ticket, app.clock.now())?;
    // Before anything is made: a ticket opens payments of its own pledge only.
    if id != PaymentId::of(ticket.pledge_id, 1) {
        let other = lookup::find(app.db.pool(), id).await?;
        let own = other.filter(|payment| payment.pledge_id == ticket.pledge_id);
        own.ok_or(Error::TicketInvalid)?;
    }
    let payer = Payer::Ticket(Box::new(ticket));
    admit(&app, &payer, client.as_deref()).await?;
    let begun = app.charges.begin(payer, None, client).await?;
    let Begun::Found(called) = begun else {
        return Err(Error::Internal(
            "a visit without a key has no stored reply".to_owned(),
        ));
    };
    if called.payment.payment_id != id {
        // An earlier attempt of the pledge.
        return Err(Error::Closed);
    }
    let asked = app.charges.ask(called).await?;
    app.charges.finish(&asked, None).await?;
    Ok(app.charges.checkout_url(&asked.intent))
}
