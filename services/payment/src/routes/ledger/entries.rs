//! `GET /api/admin/ledger/accounts/{account}/entries`

use std::str::FromStr;

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problem, Problems, Query};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    ids::{CampaignId, PaymentId, UserId},
    money::Money,
    paging::{Page, Paging},
};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    App,
    db::books::{self, Posted},
    domain::{Account, Effect},
};

/// An entry of an account.
#[derive(Serialize, ToSchema)]
pub struct LedgerEntry {
    /// The set that it belongs to, which sums to zero.
    set_id: Uuid,
    /// Its place in the set, from 1.
    line: i16,
    /// Debit positive, credit negative.
    amount: Money,
    /// Whose money it is.
    campaign_id: Option<CampaignId>,
    effect: Effect,
    payment_id: Option<PaymentId>,
    /// The provider's object behind it.
    #[schema(example = "pi_3MtwBwLkdIwHu7ix28a3tqPa")]
    psp_object: Option<String>,
    /// Why an admin corrected.
    reason: Option<String>,
    /// The admin.
    entered_by: Option<UserId>,
    at: DateTime<Utc>,
}

/// Where an entry stands in its account: set and line.
struct Place(Uuid, i16);

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (set, line) = text.split_once('.').ok_or(())?;
        let (set, line) = (set.parse(), line.parse());
        Ok(Self(set.map_err(drop)?, line.map_err(drop)?))
    }
}

/// An account's entries, newest first. For admins.
#[utoipa::path(
    get, path = "/api/admin/ledger/accounts/{account}/entries", tag = "admin", operation_id = "ledger_entries",
    params(("account" = Account, Path, description = "the account"), Paging), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "a page of entries", body = Page<LedgerEntry>), Problems),
)]
pub async fn entries(
    State(app): State<App>,
    _: Admin,
    Path(account): Path<Account>,
    Query(paging): Query<Paging>,
) -> Result<impl IntoResponse, Problem> {
    let rows = paging.rows()?;
    let Place(set, line) = paging.after()?.unwrap_or(Place(Uuid::max(), i16::MAX));
    let found = books::entries(app.db.pool(), account, (set, line), rows).await?;
    let place = |entry: &Posted| format!("{}.{}", entry.set_id, entry.line);
    let page = Page::of(found, rows, place, LedgerEntry::from);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(page)))
}

impl From<Posted> for LedgerEntry {
    fn from(posted: Posted) -> Self {
        Self {
            set_id: posted.set_id,
            line: posted.line,
            amount: posted.amount,
            campaign_id: posted.campaign_id,
            effect: posted.effect,
            payment_id: posted.payment_id,
            psp_object: posted.psp_object,
            reason: posted.reason,
            entered_by: posted.entered_by,
            at: posted.at,
        }
    }
}
