//! `POST /api/payments`

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chassis::http::Json;
use chrono::{DateTime, Utc};
use common::{
    auth::{Caller, tokens::TicketError},
    idempotency::{Claim, Reply},
    ids::{PaymentId, PledgeId},
    openapi::IdempotencyKey,
};
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::View;
use crate::{
    App,
    charge::{Begun, Payer},
    db::lookup,
    domain::Payment,
    error::Error,
    velocity,
};

chassis::problems!(Refusals:
    402 payment_declined,
    403 ticket_required ticket_invalid ticket_expired,
    404 payment_not_found,
    409 payment_closed,
    410 pledge_expired,
    422 payment_refused,
    429 payment_velocity,
    503 psp_unavailable charging_paused,
);

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
        IdempotencyKey,
        ("X-Guest-Token" = Option<String>, Header, description = "the pledge's guest token, where the ticket has expired"),
    ),
    request_body = NewPayment,
    security(("ticket" = []), ("guest" = []), ("bearer" = ["OWNER"])),
    responses((status = 201, description = "the payment and its one intent", body = Payable), Refusals),
)]
pub async fn create(
    State(app): State<App>,
    claim: Claim,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<NewPayment>,
) -> Result<Response, Error> {
    let payer = match allowed(&app, caller, &headers, body).await {
        Ok(payer) => payer,
        Err(unavailable @ Error::Database(_)) => return Err(unavailable),
        // A key that was used for a payment keeps its answer, whatever has changed since.
        Err(refusal) => {
            let stored = app.idempotency.refuse(&claim, refusal).await?;
            return replay(&app, &claim, &stored);
        }
    };
    let client = app.clients.of(&headers);
    match admit(&app, &payer, client.as_deref()).await {
        Ok(()) => {}
        Err(unavailable @ Error::Database(_)) => return Err(unavailable),
        Err(refusal) => {
            let stored = app.idempotency.refuse(&claim, refusal).await?;
            return replay(&app, &claim, &stored);
        }
    }
    let begun = app.charges.begin(payer, Some(claim.clone()), client);
    let called = match begun.await? {
        Begun::Found(called) => called,
        Begun::Replayed(stored) => return replay(&app, &claim, &stored),
    };
    let asked = app.charges.ask(called).await?;
    let payable = Payable {
        payment: View::from(&asked.payment),
        client_secret: asked.intent.client_secret.expose_secret().to_owned(),
        checkout_url: app.charges.checkout_url(&asked.intent),
        expires_at: asked.payment.expires_at,
    };
    let reply = Reply::json(StatusCode::CREATED, &payable);
    let sealed = app.sealer.seal_reply(&claim, &reply);
    let answer = Some((claim.clone(), sealed.clone()));
    if let Some(stored) = app.charges.finish(&asked, answer).await? {
        return replay(&app, &claim, &stored);
    }
    let mut response = reply.into_response();
    // What Redis remembers is the sealed form.
    response.extensions_mut().insert(Arc::new(sealed));
    Ok(response)
}

fn replay(app: &App, claim: &Claim, stored: &Reply) -> Result<Response, Error> {
    let reply = app.sealer.open_reply(claim, stored);
    let reply = reply.map_err(|error| Error::Internal(error.to_string()))?;
    Ok(reply.into_response())
}

/// Whether the payer is let through: charging goes on, and not too many tries were declined.
pub(super) async fn admit(app: &App, payer: &Payer, client: Option<&str>) -> Result<(), Error> {
    match payer {
        Payer::Ticket(ticket) => velocity::admit(app, &ticket.donor_ref, client).await,
        Payer::Pledge(pledge) => {
            let payment = lookup::last_attempt(app.db.pool(), *pledge).await?;
            let donor_ref = payment.map(|payment| payment.donor_ref);
            velocity::admit(app, donor_ref.as_deref().unwrap_or_default(), client).await
        }
    }
}

/// Who pays for the pledge, where the caller may.
async fn allowed(
    app: &App,
    caller: Caller,
    headers: &HeaderMap,
    body: NewPayment,
) -> Result<Payer, Error> {
    let pledge = body.pledge_id;
    let opened = body
        .ticket
        .map(|ticket| app.signer.open(&ticket, app.clock.now()));
    let refusal = match opened {
        Some(Ok(ticket)) if ticket.pledge_id == pledge => {
            return Ok(Payer::Ticket(Box::new(ticket)));
        }
        Some(Ok(_) | Err(TicketError::Invalid)) => return Err(Error::TicketInvalid),
        Some(Err(TicketError::Expired)) => Error::TicketExpired,
        None => Error::TicketRequired,
    };
    if is_guest_of(app, headers, pledge) {
        return Ok(Payer::Pledge(pledge));
    }
    if caller == Caller::Guest {
        return Err(refusal);
    }
    let payment = lookup::last_attempt(app.db.pool(), pledge).await?;
    match payment {
        Some(payment) if is_owner(caller, &payment) => Ok(Payer::Pledge(pledge)),
        _ => Err(refusal),
    }
}

/// Whether the request carries the guest token of this pledge.
fn is_guest_of(app: &App, headers: &HeaderMap, pledge: PledgeId) -> bool {
    let token = headers
        .get(GUEST_TOKEN)
        .and_then(|token| token.to_str().ok());
    token.is_some_and(|token| app.signer.is_guest_of(token, pledge))
}

/// A payment for its donor or an admin; for anyone else it does not exist.
///
/// # Errors
/// 404, or what the database says.
pub(super) async fn visible(
    app: &App,
    caller: Caller,
    headers: &HeaderMap,
    id: PaymentId,
) -> Result<Payment, Error> {
    let found = lookup::find(app.db.pool(), id).await?;
    let payment = found.filter(|payment| {
        caller.is_admin()
            || is_owner(caller, payment)
            || is_guest_of(app, headers, payment.pledge_id)
    });
    payment.ok_or(Error::NotFound)
}

/// Whether the caller's account made the pledge.
fn is_owner(caller: Caller, payment: &Payment) -> bool {
    let user = caller.identity().map(|identity| identity.user_id);
    user.is_some() && user == payment.donor_id
}
