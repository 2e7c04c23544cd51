//! `GET /api/pledges/{id}`.

use axum::extract::State;
use chassis::http::{Json, Path, Problems};
use common::{auth::Caller, ids::PledgeId};
use http::HeaderMap;

use crate::{App, db, error::Error, reply::PledgeView};

/// Shows a pledge to its donor: by its guest token, by the donor's account, or to an admin. To everybody else it
/// does not exist.
#[utoipa::path(get, path = "/api/pledges/{id}", tag = "pledges", security((), ("bearer" = [])),
    params(("id" = String, Path), ("X-Guest-Token" = Option<String>, Header, description = "as the pledge's creation gave it")),
    responses((status = 200, body = PledgeView), Problems))]
pub async fn get(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<PledgeId>,
) -> Result<Json<PledgeView>, Error> {
    let pledge = db::pledges::find(&app.db, id)
        .await?
        .ok_or(Error::NotFound)?;
    let guest = headers
        .get("x-guest-token")
        .and_then(|token| token.to_str().ok())
        .is_some_and(|token| app.signer.is_guest_of(token, id));
    let owner = caller
        .identity()
        .is_some_and(|identity| pledge.giver.donor_id == Some(identity.user_id));
    if guest || owner || caller.is_admin() {
        Ok(Json(PledgeView::from(&pledge)))
    } else {
        Err(Error::NotFound)
    }
}
