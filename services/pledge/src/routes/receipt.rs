//! `GET /api/pledges/{id}/receipt`.

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path};
use chrono::{DateTime, Utc};
use common::{
    auth::Caller,
    ids::{CampaignId, PaymentId, PledgeId},
    money::Money,
};
use http::{HeaderMap, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::access;
use crate::{App, db, domain::receipts::Receipt, error::Error};

chassis::problems!(Refusals:
    409 not_captured,
);

/// The proof of a gift as it was when the money was taken. It never changes: what went back since is told by the pledge.
#[derive(Serialize, ToSchema)]
pub struct ReceiptView {
    /// `CFA-`, the year of the capture, and a number without gaps.
    #[schema(example = "CFA-2026-00000001")]
    number: String,
    pledge_id: PledgeId,
    payment_id: PaymentId,
    campaign_id: CampaignId,
    /// What the campaign got.
    amount: Money,
    /// What was added for the platform.
    tip: Money,
    /// What was added towards the provider's fee.
    covered_fee: Money,
    /// What was taken in all.
    total: Money,
    captured_at: DateTime<Utc>,
    issued_at: DateTime<Utc>,
}

impl From<&Receipt> for ReceiptView {
    fn from(receipt: &Receipt) -> Self {
        let captured = &receipt.captured;
        let parts = captured.parts;
        let money = |minor| Money::new(minor, captured.currency);
        Self {
            number: receipt.name(),
            pledge_id: captured.pledge_id,
            payment_id: captured.payment_id,
            campaign_id: captured.campaign_id,
            amount: money(parts.gift),
            tip: money(parts.tip),
            covered_fee: money(parts.covered_fee),
            total: money(parts.gift + parts.tip + parts.covered_fee),
            captured_at: captured.at,
            issued_at: receipt.issued_at,
        }
    }
}

/// Shows the receipt of a pledge to whoever may see the pledge; 409 `not_captured` before its money is taken.
///
/// Where money of an earlier try came late and went back, and a later try paid, it is the receipt of the later.
#[utoipa::path(get, path = "/api/pledges/{id}/receipt", tag = "pledges", operation_id = "pledge_receipt", security(("guest" = []), ("bearer" = ["OWNER"]), ("bearer" = ["ORGANISER"]), ("bearer" = ["ADMIN"])),
    params(("id" = String, Path), ("X-Guest-Token" = Option<String>, Header, description = "as the pledge's creation gave it")),
    responses((status = 200, body = ReceiptView), Refusals))]
pub async fn receipt(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<PledgeId>,
) -> Result<impl IntoResponse, Error> {
    access::visible(&app, caller, &headers, id).await?;
    let receipts = db::receipts::of_pledge(&app.db, id).await?;
    let shown = db::pledges::opening(&app.db, id).await?.payment_attempt;
    let shown = PaymentId::of(id, shown);
    let receipt = receipts
        .iter()
        .find(|receipt| receipt.captured.payment_id == shown)
        .or(receipts.last())
        .ok_or(Error::NotCaptured)?;
    let body = Json(ReceiptView::from(receipt));
    Ok(([(header::CACHE_CONTROL, "no-store")], body))
}
