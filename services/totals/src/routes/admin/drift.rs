//! `GET /api/admin/totals/drift`

use std::collections::BTreeMap;

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Problem, Problems};
use chrono::{DateTime, Utc};
use common::auth::Admin;
use http::header;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    App,
    drift::{CampaignDrift, Findings, PaymentDrift},
};

/// The most payments that are listed of a campaign.
const LISTED: usize = 100;

/// Where the totals and the payments differ.
#[derive(Serialize, ToSchema)]
pub(crate) struct Drift {
    /// How often this process has compared everything.
    passes: u64,
    /// When it last had; null: not yet.
    #[schema(required)]
    as_of: Option<DateTime<Utc>>,
    /// How many payments are contained otherwise than payment has them.
    payments: usize,
    /// How many campaigns stand still because a bucket fell below zero.
    frozen: usize,
    /// The campaigns concerned; empty when all is well.
    campaigns: Vec<DriftOfCampaign>,
}

/// What differs in a campaign.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct DriftOfCampaign {
    campaign_id: Uuid,
    /// Its row, where that is not the sum of its payments.
    #[schema(required)]
    row: Option<CampaignDrift>,
    /// Its payments that are contained otherwise than payment has them; at most 100 of them.
    payments: Vec<PaymentDrift>,
}

/// Where the totals and the payments differ, as of the last comparison by the process that answers. For admins.
#[utoipa::path(
    get, path = "/api/admin/totals/drift", tag = "admin", operation_id = "totals_drift",
    security(("bearer" = ["ADMIN"])),
    responses((status = OK, body = Drift), Problems),
)]
pub(crate) async fn drift(State(app): State<App>, _: Admin) -> Result<impl IntoResponse, Problem> {
    let reply = Drift::from(app.findings.get());
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(reply)))
}

impl From<Findings> for Drift {
    fn from(findings: Findings) -> Self {
        let payments = findings.payments.len();
        let mut campaigns: BTreeMap<Uuid, DriftOfCampaign> = BTreeMap::new();
        for row in findings.campaigns {
            let id = row.campaign_id;
            campaigns.entry(id).or_default().row = Some(row);
        }
        for drift in findings.payments.into_values() {
            let listed = &mut campaigns.entry(drift.campaign_id).or_default().payments;
            if listed.len() < LISTED {
                listed.push(drift);
            }
        }
        let named = |(campaign_id, found)| DriftOfCampaign {
            campaign_id,
            ..found
        };
        Self {
            passes: findings.passes,
            as_of: findings.as_of,
            payments,
            frozen: findings.frozen,
            campaigns: campaigns.into_iter().map(named).collect(),
        }
    }
}
