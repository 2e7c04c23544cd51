//! `POST /api/pledges`.

use axum::extract::State;
use chassis::{http::Json, telemetry};
use common::{
    auth::{Caller, tokens},
    events::{ContactState, Visibility},
    idempotency::{Claim, Reply},
    ids::{CampaignId, ContactId},
    money::GivenMoney,
    openapi::IdempotencyKey,
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access;
use crate::{
    App,
    db::{self, pledges::Gift},
    domain::{self, Giver, Pledge, Wish, charge},
    error::Error,
    gifts::Outcome,
    reply::Pledged,
    twins::{self, KnownGift},
};

chassis::problems!(Refusals:
    404 campaign_not_found,
    409 campaign_not_active campaign_ended possible_duplicate,
    422 invalid_amount amount_out_of_range unknown_currency currency_mismatch invalid_tip tip_out_of_range
        charge_out_of_range invalid_name invalid_email invalid_message donor_required,
    503 account_not_ready,
);

/// What a donor sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPledge {
    campaign_id: CampaignId,
    amount: GivenMoney,
    /// Who gives. Guests must say it; an account may leave it out.
    donor: Option<Donor>,
    /// What the donor adds for the platform, in the currency of the gift.
    tip: Option<GivenMoney>,
    /// Whether the donor adds what the provider is taken to keep of gift and tip.
    cover_fee: Option<bool>,
    visibility: Option<Visibility>,
    /// At most 500 characters, shown with the gift.
    message: Option<String>,
    /// As `possible_duplicate` gave it, where this gift is meant beside the earlier one.
    confirm: Option<String>,
}

/// Who gives.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Donor {
    name: String,
    /// Needed of guests; an account's own address is used where it is left out.
    email: Option<String>,
}

/// Takes one gift per key: pledge, contact, events and this reply commit in one statement.
///
/// A donor who can be known again (by account, or by the guest token of an earlier pledge) and who has promised the same
/// amount to the same campaign within ten minutes is asked first: 409 `possible_duplicate` names the earlier pledge in
/// `pledge_id`, and holds in `confirm` what lets the same wish pass.
#[utoipa::path(post, path = "/api/pledges", tag = "pledges", operation_id = "create_pledge", request_body = NewPledge,
    params(IdempotencyKey,
        ("X-Guest-Token" = Option<String>, Header, description = "of an earlier pledge, for a guest who wants to be known again")),
    security((), ("bearer" = [])),
    responses((status = 201, description = "the pledge is stored; the same for every try with this key", body = Pledged), Refusals))]
pub async fn create(
    State(app): State<App>,
    claim: Claim,
    caller: Caller,
    headers: HeaderMap,
    Json(mut body): Json<NewPledge>,
) -> Result<Reply, Error> {
    let confirm = body.confirm.take();
    let (pledge, contact) = match accept(&app, caller, body).await {
        Ok(accepted) => accepted,
        // What could not be decided is no refusal, and asking the same database for the key would take as long again.
        Err(undecided @ (Error::CampaignUnreadable(_) | Error::Database(_))) => {
            return Err(undecided);
        }
        // A key that was used for an accepted gift keeps its answer, whatever has changed since.
        Err(refusal) => return app.idempotency.refuse(&claim, refusal).await,
    };
    let traceparent = telemetry::traceparent();
    let pledged = Pledged::new(&pledge, &app.signer, &app.public_url, traceparent.clone());
    let gift = Gift {
        claim,
        pledge,
        contact,
        reply: Reply::json(StatusCode::CREATED, &pledged),
        after: access::guest_of(&app, &headers),
        traceparent,
    };
    let reply = gift.reply.clone();
    match commit(&app, gift, confirm).await? {
        Outcome::Stored => Ok(reply),
        Outcome::Replayed(earlier) => Ok(earlier),
        Outcome::KeyReused => Err(common::idempotency::Error::KeyReused.into()),
    }
}

/// Writes a gift; where its donor can be known again, only if it is no twin of an earlier one.
async fn commit(app: &App, mut gift: Gift, confirm: Option<String>) -> Result<Outcome, Error> {
    if let Some(known) = gift.after {
        gift.after = Some(db::twins::first_of(&app.db, known).await?);
    }
    if gift.pledge.giver.donor_id.is_none() && gift.after.is_none() {
        return Ok(app.gifts.commit(gift).await?);
    }
    let (claim, pledge) = (gift.claim.clone(), gift.pledge.clone());
    let written = app.known_gifts.commit(KnownGift { gift, confirm });
    match written.await? {
        twins::Outcome::Written(outcome) => Ok(outcome),
        twins::Outcome::Twin(earlier) => {
            let confirm = twins::confirmation(&app.signer, &pledge, earlier, app.clock.now());
            let refusal = Error::PossibleDuplicate { earlier, confirm };
            app.idempotency
                .refuse(&claim, refusal)
                .await
                .map(Outcome::Replayed)
        }
    }
}

async fn accept(
    app: &App,
    caller: Caller,
    body: NewPledge,
) -> Result<(Pledge, Option<ContactState>), Error> {
    let now = app.clock.now();
    let amount = domain::amount(&body.amount)?;
    let fee_bps = (body.cover_fee == Some(true)).then_some(app.covered_fee_bps);
    let wish = Wish {
        campaign_id: body.campaign_id,
        amount,
        extras: charge::extras(amount, body.tip.as_ref(), fee_bps)?,
        visibility: body.visibility.unwrap_or(Visibility::Public),
        message: body
            .message
            .as_deref()
            .map(domain::message)
            .transpose()?
            .flatten(),
    };
    let (giver, contact) = giver(app, caller, body.donor).await?;
    let campaign = app.campaigns.find(&app.db, wish.campaign_id).await?;
    let contact = contact.map(|(name, email)| ContactState {
        contact_id: giver.contact_id,
        name,
        email,
        version: 1,
        occurred_at: now,
    });
    Ok((wish.pledge(giver, &campaign, now)?, contact))
}

/// Who gives, and the name and address that came with this pledge. An account without an address of its own here is
/// thanked where it registered.
async fn giver(
    app: &App,
    caller: Caller,
    donor: Option<Donor>,
) -> Result<(Giver, Option<(String, String)>), Error> {
    let donor_id = caller.identity().map(|identity| identity.user_id);
    let name = donor
        .as_ref()
        .map(|donor| domain::name(&donor.name))
        .transpose()?;
    let email = donor
        .and_then(|donor| donor.email)
        .map(|email| domain::email(&email))
        .transpose()?;
    match (donor_id, name, email) {
        (_, Some(name), Some(email)) => {
            let donor_ref = tokens::donor_ref(&app.donor_ref_secret, &email);
            let giver = Giver {
                donor_id,
                donor_ref,
                contact_id: ContactId::new(),
                name: Some(name.clone()),
            };
            Ok((giver, Some((name, email))))
        }
        (Some(user), name, None) => {
            let (contact_id, donor_ref) = db::donors::find(&app.db, user)
                .await?
                .ok_or(Error::AccountNotReady)?;
            Ok((
                Giver {
                    donor_id,
                    donor_ref,
                    contact_id,
                    name,
                },
                None,
            ))
        }
        _ => Err(Error::DonorRequired),
    }
}
