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

/// A pledge as its donor sees it.
#[derive(Serialize, ToSchema)]
pub struct PledgeView {
    id: PledgeId,
    campaign_id: CampaignId,
    amount: Money,
    status: PledgeStatus,
    visibility: Visibility,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    version: i64,
}

impl From<&Pledge> for PledgeView {
    fn from(pledge: &Pledge) -> Self {
        Self {
            id: pledge.id,
            campaign_id: pledge.campaign_id,
            amount: pledge.amount,
            status: pledge.status,
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
            amount: pledge.amount,
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
