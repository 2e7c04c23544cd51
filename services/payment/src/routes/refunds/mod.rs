//! What is below `/api/payments/{id}/refunds`.

mod create;
mod list;
mod view;

use common::{
    auth::{Identity, Role},
    ids::PaymentId,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    db::{campaigns, lookup},
    domain::{Cause, Payment},
    error::Error,
};

/// The routes that take an Idempotency-Key.
pub fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create::create))
}

pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list::list))
}

/// The payment, for an admin and for who runs its campaign, and by which right; for others there is none.
async fn allowed(app: &App, by: Identity, id: PaymentId) -> Result<(Payment, Cause), Error> {
    let found = lookup::find(app.db.pool(), id).await?;
    let payment = found.ok_or(Error::NotFound)?;
    if by.role == Role::Admin {
        return Ok((payment, Cause::Admin));
    }
    let campaign = campaigns::find(app.db.pool(), payment.campaign_id).await?;
    match campaign {
        Some(campaign) if campaign.organiser_id == by.user_id => Ok((payment, Cause::Organiser)),
        _ => Err(Error::NotFound),
    }
}
