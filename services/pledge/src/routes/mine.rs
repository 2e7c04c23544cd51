//! `GET /api/pledges/me`.

use axum::extract::State;
use chassis::http::{Json, Problems, Query};
use common::{auth::Identity, ids::PledgeId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{App, db, error::Error, reply::PledgeView};

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// At most this many, 1 to 100; 20 by default.
    limit: Option<i64>,
    /// Where the previous page ended, as its `next_cursor` said.
    cursor: Option<String>,
}

/// A page of pledges, newest first.
#[derive(Serialize, ToSchema)]
pub struct Pledges {
    data: Vec<PledgeView>,
    /// Asks for the next page; null at the end.
    next_cursor: Option<String>,
}

/// Lists the pledges of the caller's account.
#[utoipa::path(get, path = "/api/pledges/me", tag = "pledges", params(Page), responses((status = 200, body = Pledges), Problems))]
pub async fn mine(
    State(app): State<App>,
    identity: Identity,
    Query(page): Query<Page>,
) -> Result<Json<Pledges>, Error> {
    let limit = page.limit.unwrap_or(20).clamp(1, 100);
    let before: Option<PledgeId> = page
        .cursor
        .map(|cursor| cursor.parse().map_err(|_| Error::InvalidCursor))
        .transpose()?;
    let mut found = db::pledges::of_donor(&app.db, identity.user_id, before, limit + 1).await?;
    let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        found.pop();
    }
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    Ok(Json(Pledges {
        data: found.iter().map(PledgeView::from).collect(),
        next_cursor,
    }))
}
