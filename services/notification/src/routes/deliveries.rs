//! `GET /api/admin/notifications/deliveries`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Problem, Problems, Query};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    ids::{CampaignId, ContactId, PaymentId},
    money::{Currency, Money},
    paging::{Page, Paging},
};
use http::header;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    App,
    db::deliveries::{self, Entry},
    domain::DeliveryStatus,
    error::Error,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only deliveries that stand so.
    status: Option<DeliveryStatus>,
}

/// A mail owed, under way or done. Whose it is only the contact id says.
#[derive(Serialize, ToSchema)]
pub struct Delivery {
    id: Uuid,
    #[schema(example = "THANK_YOU")]
    kind: String,
    payment_id: PaymentId,
    campaign_id: CampaignId,
    contact_id: ContactId,
    amount: Money,
    status: DeliveryStatus,
    attempts: i32,
    /// What came of the last attempt.
    #[schema(example = "smtp 451")]
    last_result: Option<String>,
    /// Null when there will be none.
    next_attempt_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
}

impl TryFrom<Entry> for Delivery {
    type Error = Error;

    fn try_from(entry: Entry) -> Result<Self, Error> {
        let broken = |what: &str| {
            Error::Internal(format!(
                "delivery {} has an unknown {what}",
                entry.delivery_id
            ))
        };
        let status = DeliveryStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == entry.status);
        let currency = Currency::parse(&entry.currency).map_err(|_| broken("currency"))?;
        Ok(Self {
            status: status.ok_or_else(|| broken("status"))?,
            amount: Money::new(entry.amount, currency),
            id: entry.delivery_id,
            kind: entry.kind,
            payment_id: entry.payment_id.into(),
            campaign_id: entry.campaign_id.into(),
            contact_id: entry.contact_id.into(),
            attempts: entry.attempts,
            last_result: entry.last_result,
            next_attempt_at: entry.next_attempt_at,
            created_at: entry.created_at,
            sent_at: entry.sent_at,
        })
    }
}

/// The history of mails, newest first.
#[utoipa::path(
    get, path = "/api/admin/notifications/deliveries", tag = "notifications", operation_id = "list_deliveries",
    params(Filter, Paging), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "a page of deliveries", body = Page<Delivery>), Problems),
)]
pub async fn deliveries(
    State(app): State<App>,
    _: Admin,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<impl IntoResponse, Problem> {
    let (rows, before) = (paging.rows()?, paging.after()?);
    let entries = deliveries::page(
        app.db.pool(),
        filter.status.map(DeliveryStatus::as_str),
        before,
        rows,
    )
    .await?;
    let found = entries
        .into_iter()
        .map(Delivery::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::of(found, rows, |last| last.id.to_string(), |delivery| delivery);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(page)))
}
