//! Who may see a pledge: whoever has its guest token, its donor's account, who runs its campaign, and admins. To
//! everybody else it does not exist.

use common::{auth::Caller, ids::PledgeId};
use http::HeaderMap;

use crate::{App, db, domain::Pledge, error::Error};

/// The pledge whose guest token was sent, if one was.
pub(super) fn guest_of(app: &App, headers: &HeaderMap) -> Option<PledgeId> {
    let token = headers.get("x-guest-token")?.to_str().ok()?;
    app.signer.guest_of(token)
}

/// Whether the caller made this pledge.
pub(super) fn is_donor(app: &App, caller: Caller, headers: &HeaderMap, pledge: &Pledge) -> bool {
    let account = caller.identity().map(|identity| identity.user_id);
    guest_of(app, headers) == Some(pledge.id)
        || (account.is_some() && account == pledge.giver.donor_id)
}

/// A pledge that the caller may see.
///
/// # Errors
/// [`Error::NotFound`] also where it exists for others.
pub(super) async fn visible(
    app: &App,
    caller: Caller,
    headers: &HeaderMap,
    id: PledgeId,
) -> Result<Pledge, Error> {
    let pledge = db::pledges::find(&app.db, id)
        .await?
        .ok_or(Error::NotFound)?;
    if caller.is_admin() || is_donor(app, caller, headers, &pledge) {
        return Ok(pledge);
    }
    let identity = caller.identity().ok_or(Error::NotFound)?;
    match db::campaigns::organiser(&app.db, pledge.campaign_id).await? {
        Some(organiser) if organiser == identity.user_id => Ok(pledge),
        _ => Err(Error::NotFound),
    }
}
