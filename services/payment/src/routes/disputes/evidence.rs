//! `POST /api/admin/disputes/{id}/evidence`

use std::collections::BTreeMap;

use axum::extract::State;
use chassis::http::{Json, Path};
use common::{
    auth::Admin,
    idempotency::{Claim, Reply},
    openapi::IdempotencyKey,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::View;
use crate::{
    App,
    domain::{Dispute, Frozen, Halt},
    error::Error,
};

chassis::problems!(Refusals:
    409 dispute_closed deadline_passed,
    422 invalid_evidence,
    503 psp_unavailable,
);

/// The provider's fields that are text.
const FIELDS: [&str; 18] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_tracking_number",
    "uncategorized_text",
];

/// What the bank is told.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The provider's text fields by name: 1 to 20, each of 1 to 20,000 characters.
    #[schema(example = json!({"product_description": "a gift to a campaign"}))]
    evidence: BTreeMap<String, String>,
}

/// Answers the donor's bank. It takes one answer, and none after its time. For admins.
#[utoipa::path(
    post, path = "/api/admin/disputes/{id}/evidence", tag = "admin", operation_id = "answer_dispute",
    params(("id" = String, Path, description = "the provider's id"), IdempotencyKey), request_body = Evidence,
    security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "the dispute, now under review", body = View), Refusals),
)]
pub async fn evidence(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path(id): Path<String>,
    Json(body): Json<Evidence>,
) -> Result<Reply, Error> {
    let (dispute, request) = match ready(&app, &id, &body).await {
        Ok(ready) => ready,
        Err(error) => return super::refuse(&app, &claim, error).await,
    };
    // Whoever repeats the request repeats this very call.
    let call = Frozen {
        key: format!("evidence:{id}:{}", hex::encode(claim.scope())),
        request,
    };
    let called = app.charges.psp().submit(&dispute.dispute_id, &call).await;
    let reply = super::answered(&app, &claim, &dispute, called).await?;
    tracing::info!(psp.dispute = id, user.id = %by.user_id, "an admin answered a dispute");
    Ok(reply)
}

async fn ready(app: &App, id: &str, body: &Evidence) -> Result<(Dispute, Vec<u8>), Error> {
    let request = body.form()?;
    let dispute = super::undecided(app, id).await?;
    if dispute
        .evidence_due
        .is_some_and(|due| due <= app.clock.now())
    {
        return Err(Halt::DeadlinePassed.into());
    }
    Ok((dispute, request))
}

impl Evidence {
    fn form(&self) -> Result<Vec<u8>, Halt> {
        let fits = |(name, text): (&String, &String)| {
            FIELDS.contains(&name.as_str())
                && (1..=20_000).contains(&text.trim().chars().count())
                && !text.contains('\0')
        };
        if !(1..=20).contains(&self.evidence.len()) || !self.evidence.iter().all(fits) {
            return Err(Halt::Evidence);
        }
        let field = |(name, text): (&String, &String)| (format!("evidence[{name}]"), text.clone());
        let mut form: Vec<_> = self.evidence.iter().map(field).collect();
        form.push(("submit".to_owned(), "true".to_owned()));
        let form = serde_urlencoded::to_string(form).map_err(|_| Halt::Evidence)?;
        Ok(form.into_bytes())
    }
}
