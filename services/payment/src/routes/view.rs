//! A payment as its donor sees it.

use chrono::{DateTime, Utc};
use common::{
    ids::{CampaignId, PaymentId, PledgeId},
    money::Money,
    payment::State,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Payment;

/// One attempt to have a pledge paid.
#[derive(Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct View {
    id: PaymentId,
    pledge_id: PledgeId,
    campaign_id: CampaignId,
    state: State,
    amount: Money,
    /// Held or taken so far.
    authorized: Money,
    /// Taken so far.
    captured: Money,
    /// Given back so far.
    refunded: Money,
    /// Which try of the pledge, from 1.
    attempt: i32,
    /// Why the last try did not work, if so.
    failure: Option<FailureView>,
    /// Grows by one with each change.
    version: i64,
    /// When the pledge lapses unless it is paid.
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Why a try did not work.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentFailure)]
pub struct FailureView {
    /// The provider's stable code.
    #[schema(example = "card_declined")]
    code: String,
    /// Its text for the donor.
    message: Option<String>,
}

impl From<&Payment> for View {
    fn from(payment: &Payment) -> Self {
        let money = |minor| Money::new(minor, payment.amount.currency);
        Self {
            id: payment.payment_id,
            pledge_id: payment.pledge_id,
            campaign_id: payment.campaign_id,
            state: payment.state,
            amount: payment.amount,
            authorized: money(payment.authorized),
            captured: money(payment.captured),
            refunded: money(payment.refunded),
            attempt: payment.attempt,
            failure: payment.failure.as_ref().map(|failure| FailureView {
                code: failure.code.clone(),
                message: failure.message.clone(),
            }),
            version: payment.version,
            expires_at: payment.expires_at,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }
}
