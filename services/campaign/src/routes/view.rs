//! A campaign as clients see it.

use chrono::{DateTime, Utc};
use common::{
    events::{CampaignStatus, Capture},
    idempotency::Reply,
    ids::{CampaignId, UserId},
    money::Money,
};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Campaign;

/// A campaign in a list.
#[derive(Serialize, ToSchema)]
pub struct CampaignSummary {
    id: CampaignId,
    title: String,
    category: String,
    goal: Money,
    /// The goal's currency, which is that of every gift.
    #[schema(example = "USD")]
    currency: &'static str,
    status: CampaignStatus,
    /// When it stops taking gifts; null when it is open-ended.
    ends_at: Option<DateTime<Utc>>,
    /// IANA name of the zone that its days are counted in.
    timezone: String,
    /// The smallest gift, in minor units.
    min_amount: i64,
    capture: Capture,
    organiser_id: UserId,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A campaign with its story.
#[derive(Serialize, ToSchema)]
pub struct CampaignView {
    #[serde(flatten)]
    summary: CampaignSummary,
    story: String,
    /// Why an admin turned it down; only where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection_reason: Option<String>,
    /// Why it was called off or suspended; only where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<String>,
}

impl From<Campaign> for CampaignSummary {
    fn from(campaign: Campaign) -> Self {
        Self {
            id: campaign.id,
            title: campaign.title,
            category: campaign.category,
            goal: campaign.goal,
            currency: campaign.goal.currency.as_str(),
            status: campaign.status,
            ends_at: campaign.ends_at,
            timezone: campaign.timezone,
            min_amount: campaign.minimum,
            capture: campaign.capture,
            organiser_id: campaign.organiser_id,
            version: campaign.version,
            created_at: campaign.created_at,
            updated_at: campaign.updated_at,
        }
    }
}

impl From<Campaign> for CampaignView {
    fn from(mut campaign: Campaign) -> Self {
        let story = std::mem::take(&mut campaign.story);
        let rejection_reason = campaign.rejection_reason.take();
        let stop_reason = campaign.stop_reason.take();
        Self {
            summary: campaign.into(),
            story,
            rejection_reason,
            stop_reason,
        }
    }
}

/// The version as an entity tag.
pub fn etag(campaign: &Campaign) -> String {
    format!("\"{}\"", campaign.version)
}

/// The campaign as a reply to be stored, with its entity tag.
pub fn reply(status: StatusCode, campaign: &Campaign) -> Reply {
    let mut reply = Reply::json(status, &CampaignView::from(campaign.clone()));
    reply.headers.push(("etag".to_owned(), etag(campaign)));
    reply
}
