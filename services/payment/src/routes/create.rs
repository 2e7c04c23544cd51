//! `POST /api/payments`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chassis::http::{Json, Problems};
use chrono::{DateTime, Utc};
use common::{
    auth::{Caller, tokens::TicketError},
    idempotency::{self, Claim, Joined, Reply},
    ids::PledgeId,
};
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

use super::view::View;
use crate::{App, charge, db::payments, domain::Payment, error::Error};

/// The header that carries a guest's key to a pledge.
pub(super) const GUEST_TOKEN: &str = "x-guest-token";

/// Which pledge to pay for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    /// The pledge.
    pledge_id: PledgeId,
    /// The ticket that came with it. Once it has expired, the pledge's guest token or account does.
    ticket: Option<String>,
}

/// A payment that can be paid, and with what.
#[derive(Serialize, ToSchema)]
pub struct Payable {
    payment: View,
    /// Pays the provider's intent from the donor's browser. Keep it between the donor and the provider.
    client_secret: String,
    /// A page to pay on.
    checkout_url: String,
    /// When the pledge lapses unless it is paid.
    expires_at: DateTime<Utc>,
}

/// Opens the payment of a pledge.
///
/// Asked again for a payment that can still be paid, it answers 201 with that payment and its one intent, whatever
/// the key.
#[utoipa::path(
    post, path = "/api/payments", tag = "payments", operation_id = "create_payment",
    params(
        ("Idempotency-Key" = String, Header, description = "made by the client before its first try; a UUID for guests"),
        ("X-Guest-Token" = Option<String>, Header, description = "the pledge's guest token, where the ticket has expired"),
    ),
    request_body = NewPayment,
    security((), ("bearer" = [])),
    responses((status = 201, description = "the payment and its one intent", body = Payable), Problems),
)]
pub async fn create(
    State(app): State<App>,
    claim: Claim,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<NewPayment>,
) -> Result<Response, Error> {
    if let Some(stored) = app.idempotency.lookup(&claim).await?
        && let Ok(reply) = app.sealer.open_reply(&claim, &stored)
    {
        return Ok(reply.into_response());
    }
    let payment = allowed(&app, caller, &headers, body).await?;
    let asked = app.charges.intent_of(payment).await?;
    let mut tx = app.db.begin().await?;
    let payment = charge::record(&mut *tx, &asked).await?;
    let payable = Payable {
        expires_at: payment.expires_at,
        payment: View::from(&payment),
        client_secret: asked.intent.client_secret.expose_secret().to_owned(),
        checkout_url: app.charges.checkout_url(&asked.intent),
    };
    let reply = Reply::json(StatusCode::CREATED, &payable);
    let sealed = app.sealer.seal_reply(&claim, &reply);
    match idempotency::join(&mut tx, &claim, &sealed).await? {
        Joined::Stored => tx.commit().await?,
        // A twin was faster and recorded the same intent. A reply that does not open any more, after a change of
        // the secret, is as good as this one.
        Joined::Replay(stored) => {
            tx.rollback().await?;
            let stored = app.sealer.open_reply(&claim, &stored).unwrap_or(reply);
            return Ok(stored.into_response());
        }
    }
    let mut response = reply.into_response();
    // What Redis remembers is the sealed form.
    response.extensions_mut().insert(Arc::new(sealed));
    Ok(response)
}

/// The pledge's payment, for a caller who may pay it.
async fn allowed(
    app: &App,
    caller: Caller,
    headers: &HeaderMap,
    body: NewPayment,
) -> Result<Payment, Error> {
    let pledge = body.pledge_id;
    let refusal = match body
        .ticket
        .map(|ticket| app.signer.open(&ticket, app.clock.now()))
    {
        Some(Ok(ticket)) if ticket.pledge_id == pledge => {
            return app.charges.by_ticket(ticket).await;
        }
        Some(Ok(_) | Err(TicketError::Invalid)) => return Err(Error::TicketInvalid),
        Some(Err(TicketError::Expired)) => Error::TicketExpired,
        None => Error::TicketRequired,
    };
    let guest = is_guest_of(app, headers, pledge);
    if !guest && caller == Caller::Guest {
        return Err(refusal);
    }
    let found = payments::find_by_pledge(app.db.pool(), pledge).await?;
    match found {
        Some(payment) if guest || is_owner(caller, &payment) => Ok(payment),
        None if guest => Err(Error::NotThereYet),
        _ => Err(refusal),
    }
}

/// Whether the request carries the guest token of this pledge.
pub(super) fn is_guest_of(app: &App, headers: &HeaderMap, pledge: PledgeId) -> bool {
    let token = headers
        .get(GUEST_TOKEN)
        .and_then(|token| token.to_str().ok());
    token.is_some_and(|token| app.signer.is_guest_of(token, pledge))
}

/// Whether the caller's account made the pledge.
pub(super) fn is_owner(caller: Caller, payment: &Payment) -> bool {
    let user = caller.identity().map(|identity| identity.user_id);
    user.is_some() && user == payment.donor_id
}
