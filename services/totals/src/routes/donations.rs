//! `GET /api/campaigns/{id}/donations`: the public wall.

use axum::extract::State;
use chassis::http::{Json, Path, Problem, Problems, Query};
use chrono::{DateTime, Utc};
use common::{
    events::Visibility,
    ids::CampaignId,
    money::{Currency, Money},
    paging::{Moment, Page, Paging},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    App,
    db::{self, donations::Donation},
};

/// What stands for the name of a donor who gave none.
const ANONYMOUS: &str = "Anonymous";

/// A gift as the public sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublicGift {
    /// The donor's name, or `Anonymous`.
    name: String,
    /// What was given, less what went back; null when the donor hides it.
    #[schema(required)]
    amount: Option<Money>,
    #[schema(required)]
    message: Option<String>,
    given_at: DateTime<Utc>,
}

impl From<Donation> for PublicGift {
    fn from(donation: Donation) -> Self {
        let hidden = donation.visibility == Visibility::HiddenAmount.as_str();
        let amount = Currency::parse(&donation.currency)
            .ok()
            .map(|currency| Money::new(donation.net, currency));
        Self {
            name: donation.public_name.unwrap_or_else(|| ANONYMOUS.to_owned()),
            amount: amount.filter(|_| !hidden),
            message: donation.message,
            given_at: donation.given_at,
        }
    }
}

/// Lists the gifts of a campaign, the newest first.
#[utoipa::path(
    get, path = "/api/campaigns/{id}/donations", tag = "totals", operation_id = "list_donations", security(()),
    params(("id" = CampaignId, Path), Paging),
    responses((status = OK, body = Page<PublicGift>), Problems),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Path(id): Path<CampaignId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<PublicGift>>, Problem> {
    let rows = paging.rows()?;
    let Moment(given_at, payment) = paging
        .after()?
        .unwrap_or(Moment(DateTime::<Utc>::MAX_UTC, Uuid::max()));
    let found = db::donations::wall(app.db.pool(), id, (given_at, payment), rows).await?;
    if found.is_empty() && !db::totals::exists(app.db.pool(), id).await? {
        return Err(Problem::not_found());
    }
    let place = |gift: &Donation| Moment(gift.given_at, gift.payment_id).to_string();
    Ok(Json(Page::of(found, rows, place, Into::into)))
}
