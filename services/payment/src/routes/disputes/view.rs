//! A dispute as admins see it.

use chrono::{DateTime, Utc};
use common::{ids::PaymentId, money::Money};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Dispute, DisputeStatus};

/// A donor's bank takes money back, or asks whether it should.
#[derive(Serialize, ToSchema)]
#[schema(as = Dispute)]
pub struct View {
    /// The provider's id.
    #[schema(example = "du_1MtJUT2eZvKYlo2CNaw2HvEv")]
    id: String,
    payment_id: PaymentId,
    amount: Money,
    /// The provider's word.
    #[schema(example = "fraudulent")]
    reason: String,
    status: DisputeStatus,
    /// Until when the bank takes evidence.
    evidence_due: Option<DateTime<Utc>>,
    /// How often we gave evidence.
    submissions: i32,
    /// Taken by the bank so far, less what it returned.
    withdrawn: Money,
    /// What the provider asked for its trouble.
    fee: Money,
    opened_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<&Dispute> for View {
    fn from(dispute: &Dispute) -> Self {
        let money = |minor| Money::new(minor, dispute.amount.currency);
        Self {
            id: dispute.dispute_id.clone(),
            payment_id: dispute.payment_id,
            amount: dispute.amount,
            reason: dispute.reason.clone(),
            status: dispute.status,
            evidence_due: dispute.evidence_due,
            submissions: dispute.submissions,
            withdrawn: money(dispute.withdrawn),
            fee: money(dispute.fee),
            opened_at: dispute.opened_at,
            updated_at: dispute.updated_at,
        }
    }
}
