//! `POST /api/admin/ledger/corrections`

use axum::extract::State;
use chassis::{http::Json, telemetry};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    idempotency::{self, Claim, Joined, Reply},
    ids::{CampaignId, PaymentId, UserId},
    money::Money,
    openapi::IdempotencyKey,
};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    App,
    db::lookup,
    domain::{Account, Correction, Effect, Flaw, NewCorrection},
    error::Error,
    ledger,
};

chassis::problems!(Refusals:
    422 invalid_reason invalid_entries invalid_amount unknown_currency campaign_required
        unbalanced_entries unknown_payment,
);

/// A correction as it stands in the books.
#[derive(Serialize, ToSchema)]
pub struct LedgerCorrection {
    /// The set that was added.
    set_id: Uuid,
    effect: Effect,
    reason: String,
    payment_id: Option<PaymentId>,
    /// The admin who entered it.
    entered_by: UserId,
    entries: Vec<CorrectionEntry>,
    at: DateTime<Utc>,
}

/// A line of it.
#[derive(Serialize, ToSchema)]
pub struct CorrectionEntry {
    /// Its place, from 1.
    line: i16,
    account: Account,
    campaign_id: Option<CampaignId>,
    /// Debit positive, credit negative.
    amount: Money,
}

/// Adds a set of entries that sets something right, with the reason. For admins.
///
/// What stands in the books is never changed: another correction takes this one back.
#[utoipa::path(
    post, path = "/api/admin/ledger/corrections", tag = "admin", operation_id = "correct_ledger",
    params(IdempotencyKey), request_body = NewCorrection, security(("bearer" = ["ADMIN"])),
    responses((status = 201, description = "the set that was added", body = LedgerCorrection), Refusals),
)]
pub async fn correct(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Json(body): Json<NewCorrection>,
) -> Result<Reply, Error> {
    match allowed(&app, &body).await {
        Ok(correction) => enter(&app, &claim, by.user_id, correction).await,
        Err(Error::Correction(flaw)) => app.idempotency.refuse(&claim, flaw.into()).await,
        Err(error) => Err(error),
    }
}

async fn allowed(app: &App, body: &NewCorrection) -> Result<Correction, Error> {
    let correction = body.parse()?;
    if let Some(id) = correction.payment_id
        && lookup::find(app.db.pool(), id).await?.is_none()
    {
        return Err(Flaw::Payment.into());
    }
    Ok(correction)
}

/// The set and the reply commit together.
async fn enter(
    app: &App,
    claim: &Claim,
    by: UserId,
    correction: Correction,
) -> Result<Reply, Error> {
    let (set_id, at) = (Uuid::now_v7(), app.clock.now());
    let trace_id = telemetry::trace_id();
    let mut tx = app.db.begin().await?;
    let view = LedgerCorrection {
        set_id,
        effect: Effect::Correction,
        reason: correction.reason.clone(),
        payment_id: correction.payment_id,
        entered_by: by,
        entries: (1..)
            .zip(&correction.entries)
            .map(|(line, entry)| CorrectionEntry {
                line,
                account: entry.account,
                campaign_id: entry.campaign_id,
                amount: entry.amount,
            })
            .collect(),
        at,
    };
    let reply = Reply::json(StatusCode::CREATED, &view);
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    ledger::correct(&mut tx, set_id, &correction, by, trace_id.as_deref(), at).await?;
    tx.commit().await?;
    tracing::info!(ledger.set = %set_id, user.id = %by, "the books were corrected by set {set_id}");
    Ok(reply)
}
