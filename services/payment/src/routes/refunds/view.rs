//! A refund as admins and organisers see it.

use chrono::{DateTime, Utc};
use common::{
    ids::{PaymentId, UserId},
    money::Money,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{Cause, Refund, RefundStatus};

/// Money on its way back to a donor.
#[derive(Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct View {
    id: Uuid,
    payment_id: PaymentId,
    amount: Money,
    status: RefundStatus,
    cause: Cause,
    reason: Option<String>,
    /// Why it failed, in the provider's word.
    failure: Option<String>,
    /// The refund at the provider, once it is known.
    #[schema(example = "re_3MtwBwLkdIwHu7ix28a3tqPa")]
    psp_refund: Option<String>,
    /// The account behind it.
    requested_by: Option<UserId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<&Refund> for View {
    fn from(refund: &Refund) -> Self {
        Self {
            id: refund.refund_id,
            payment_id: refund.payment_id,
            amount: refund.amount,
            status: refund.status,
            cause: refund.cause,
            reason: refund.reason.clone(),
            failure: refund.failure.clone(),
            psp_refund: refund.psp_refund.clone(),
            requested_by: refund.requested_by,
            created_at: refund.created_at,
            updated_at: refund.updated_at,
        }
    }
}
