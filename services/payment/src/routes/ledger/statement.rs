//! `GET /api/admin/ledger/campaigns/{id}/statements/{month}`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chassis::http::{Json, Path, Problems};
use common::{auth::Admin, ids::CampaignId};
use http::{HeaderMap, header};

use crate::{
    App,
    db::books,
    domain::{Figures, Month, Statement},
    error::Error,
};

/// A campaign's month: what it raised, what went back, and what it is owed more. For admins.
///
/// Months are those of UTC, by when we learned of a thing. JSON, or CSV where `Accept` prefers `text/csv` or the month
/// ends with `.csv`. A campaign of which nothing is known has empty months.
#[utoipa::path(
    get, path = "/api/admin/ledger/campaigns/{id}/statements/{month}", tag = "admin",
    operation_id = "campaign_statement",
    params(
        ("id" = CampaignId, Path, description = "the campaign"),
        ("month" = String, Path, description = "`yyyy-mm` or `yyyy-mm.csv`", example = "2026-05"),
    ),
    security(("bearer" = ["ADMIN"])),
    responses(
        (status = 200, description = "the figures of each currency, and every correction",
         content((Statement = "application/json"), (String = "text/csv"))),
        Problems,
    ),
)]
pub async fn statement(
    State(app): State<App>,
    _: Admin,
    headers: HeaderMap,
    Path((id, month)): Path<(CampaignId, String)>,
) -> Result<Response, Error> {
    let (text, as_csv) = match month.strip_suffix(".csv") {
        Some(text) => (text, true),
        None => (month.as_str(), prefers_csv(&headers)),
    };
    let month: Month = text.parse().map_err(|_| Error::NotFound)?;
    let totals = books::month(app.db.pool(), id, month).await?;
    let figures = Figures::of(&totals).map_err(|error| Error::Internal(error.to_string()))?;
    let statement = Statement {
        campaign_id: id,
        month: month.to_string(),
        figures,
        corrections: books::corrections(app.db.pool(), id, month).await?,
    };
    let shared = [
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
    ];
    if !as_csv {
        return Ok((shared, Json(statement)).into_response());
    }
    let file = format!("attachment; filename=\"statement-{id}-{month}.csv\"");
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present".to_owned(),
        ),
        (header::CONTENT_DISPOSITION, file),
    ];
    Ok((shared, headers, statement.csv()).into_response())
}

/// Whether the first of our two types that the client names is CSV.
fn prefers_csv(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let mut ranges = accepted
        .unwrap_or_default()
        .split(',')
        .map(|range| range.split(';').next().unwrap_or_default().trim());
    ranges.find(|range| ["text/csv", "application/json", "*/*"].contains(range)) == Some("text/csv")
}
