//! `GET /api/totals?ids=`: what several campaigns have raised.

use std::collections::BTreeSet;

use axum::extract::State;
use chassis::http::{Json, Query};
use common::ids::CampaignId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{App, db, error::Error, replies::View};

chassis::problems!(Refusals:
    400 invalid_ids too_many_ids,
);

/// The most campaigns in one reply.
const MOST: usize = 100;

/// Which campaigns.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// Ids separated by commas, at most 100.
    ids: String,
}

/// The totals of several campaigns.
#[derive(Serialize, ToSchema)]
pub(crate) struct Many {
    /// Those that are known, by their ids.
    data: Vec<View>,
    /// Those that nothing is known of.
    missing: Vec<CampaignId>,
}

/// Gives the totals of several campaigns, as they stand.
#[utoipa::path(
    get, path = "/api/totals", tag = "totals", operation_id = "many_totals", params(Asked), security(()),
    responses((status = OK, body = Many), Refusals),
)]
pub(crate) async fn many(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Json<Many>, Error> {
    let ids = parse(&asked.ids)?;
    let list: Vec<_> = ids.iter().copied().collect();
    let mut found = db::totals::many(app.db.pool(), &list).await?;
    found.sort_unstable_by_key(|totals| totals.campaign_id);
    let known: BTreeSet<_> = found
        .iter()
        .map(|totals| totals.campaign_id.get())
        .collect();
    Ok(Json(Many {
        data: found.iter().map(View::read).collect(),
        missing: ids
            .difference(&known)
            .copied()
            .map(CampaignId::from)
            .collect(),
    }))
}

/// The ids, each once.
fn parse(text: &str) -> Result<BTreeSet<Uuid>, Error> {
    // Counted before they are parsed: a long list costs nothing.
    if text.split(',').take(MOST + 1).count() > MOST {
        return Err(Error::TooManyIds);
    }
    let ids = text.split(',').map(|id| id.trim().parse());
    ids.collect::<Result<_, _>>().map_err(|_| Error::InvalidIds)
}
