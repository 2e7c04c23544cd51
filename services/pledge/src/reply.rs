//! The reply to a new pledge; its bytes are fixed before the commit.

use chrono::{DateTime, Duration, Utc};
use common::{
    auth::tokens::{Signer, Ticket},
    events::{PledgeStatus, Visibility},
    ids::{CampaignId, PaymentId, PledgeId},
    money::Money,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Pledge;

/// How long a ticket can be paid with.
const TICKET: Duration = Duration::minutes(30);

/// Where a pledge stands, as its donor sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ShownStatus {
    /// Not paid yet.
    Pending,
    /// The money is held.
    Authorized,
    /// The money is taken.
    Completed,
    /// It cannot be paid any more.
    Failed,
    /// Nobody paid in time.
    Expired,
    /// The donor wants it called off, and the provider has not agreed yet.
    Cancelling,
    /// Called off.
    Cancelled,
    /// The money went back.
    Refunded,
}

impl From<&Pledge> for ShownStatus {
    fn from(pledge: &Pledge) -> Self {
        match pledge.status {
            PledgeStatus::Pending | PledgeStatus::Authorized
                if pledge.cancel_requested_at.is_some() =>
            {
                Self::Cancelling
            }
            PledgeStatus::Pending => Self::Pending,
            PledgeStatus::Authorized => Self::Authorized,
            PledgeStatus::Completed => Self::Completed,
            PledgeStatus::Failed => Self::Failed,
            PledgeStatus::Expired => Self::Expired,
            PledgeStatus::Cancelled => Self::Cancelled,
            PledgeStatus::Refunded => Self::Refunded,
        }
    }
}

/// A pledge as its donor sees it.
#[derive(Serialize, ToSchema)]
pub struct PledgeView {
    id: PledgeId,
    campaign_id: CampaignId,
    /// The gift: what the campaign gets.
    amount: Money,
    /// What the donor adds for the platform, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    tip: Option<Money>,
    /// What the donor adds towards the provider's fee, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    covered_fee: Option<Money>,
    /// What is charged in all.
    total: Money,
    status: ShownStatus,
    /// When the donor asked to call it off, if ever; a gift that was faster is COMPLETED all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_requested_at: Option<DateTime<Utc>>,
    /// How much of the total went back, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded: Option<Money>,
    visibility: Visibility,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    version: i64,
}

impl From<&Pledge> for PledgeView {
    fn from(pledge: &Pledge) -> Self {
        let some = |minor: i64| (minor != 0).then(|| Money::new(minor, pledge.amount.currency));
        Self {
            id: pledge.id,
            campaign_id: pledge.campaign_id,
            amount: pledge.amount,
            tip: some(pledge.extras.tip),
            covered_fee: some(pledge.extras.covered_fee),
            total: pledge.total(),
            status: pledge.into(),
            cancel_requested_at: pledge.cancel_requested_at,
            refunded: some(pledge.refunded),
            visibility: pledge.visibility,
            message: pledge.message.clone(),
            created_at: pledge.created_at,
            expires_at: pledge.expires_at,
            version: pledge.version,
        }
    }
}

/// A new pledge, and all that the donor needs to pay for it and to look after it.
#[derive(Serialize, ToSchema)]
pub struct Pledged {
    pledge: PledgeView,
    payment_id: PaymentId,
    /// Opens the provider's page in a browser.
    payment_url: String,
    /// Pays for the pledge by `POST /api/payments`; valid for 30 minutes.
    ticket: String,
    /// Shows the pledge and its payment to whoever has it, as `X-Guest-Token`.
    guest_token: String,
}

impl Pledged {
    /// Signs what the donor gets; the ticket carries the trace of the request.
    pub fn new(
        pledge: &Pledge,
        signer: &Signer,
        public_url: &str,
        traceparent: Option<String>,
    ) -> Self {
        let ticket = signer.ticket(&Ticket {
            pledge_id: pledge.id,
            campaign_id: pledge.campaign_id,
            contact_id: pledge.giver.contact_id,
            donor_id: pledge.giver.donor_id,
            donor_ref: pledge.giver.donor_ref.clone(),
            amount: pledge.total(),
            extras: pledge.extras,
            capture: pledge.capture,
            pledge_expires_at: pledge.expires_at,
            expires_at: pledge.created_at + TICKET,
            traceparent,
        });
        let payment_id = pledge.payment_id();
        Self {
            pledge: pledge.into(),
            payment_id,
            payment_url: format!("{public_url}/api/payments/{payment_id}/checkout?ticket={ticket}"),
            guest_token: signer.guest_token(pledge.id),
            ticket,
        }
    }
}
