//! A batch of refunds as admins see it.

use chrono::{DateTime, Utc};
use common::{
    ids::{CampaignId, UserId},
    money::Money,
};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use crate::{
    db::batches::{self, Sum},
    domain::{Batch, BatchCause, BatchState},
};

/// What giving a campaign's gifts back comes to, and how far it is.
#[derive(Serialize, ToSchema)]
#[schema(as = RefundBatch)]
pub struct View {
    campaign_id: CampaignId,
    /// Null while there is no batch: then this is what one would come to.
    state: Option<BatchState>,
    cause: Option<BatchCause>,
    /// What runs without an approval, in minor units.
    approval_from: i64,
    /// How many payments are still to be refunded: those whose refund is on its way are not among them.
    due_count: i64,
    /// How much that is, in minor units.
    due_minor: i64,
    /// How many were to be refunded when the batch was planned.
    planned_count: Option<i64>,
    /// How much that was, in minor units.
    planned_minor: Option<i64>,
    /// What the campaign's payments hold by state: CAPTURED and COMPLETED ones go back, the others are called off.
    payments: Vec<SumView>,
    /// The refunds made so far by status.
    refunds: Vec<SumView>,
    /// Who called the campaign off, or ordered the batch.
    started_by: Option<UserId>,
    approved_by: Option<UserId>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
}

/// So many of one kind.
#[derive(Serialize, ToSchema)]
#[schema(as = RefundBatchSum)]
pub struct SumView {
    /// The state of payments, or the status of refunds.
    #[schema(example = "CAPTURED")]
    of: String,
    count: i64,
    amount: Money,
}

impl From<Sum> for SumView {
    fn from(sum: Sum) -> Self {
        Self {
            of: sum.of,
            count: sum.count,
            amount: sum.amount,
        }
    }
}

impl View {
    /// Counts what there is now.
    pub async fn of(
        executor: impl PgExecutor<'_> + Copy,
        campaign_id: CampaignId,
        batch: Option<&Batch>,
        approval_from: i64,
    ) -> Result<Self, sqlx::Error> {
        let payments = batches::payments(executor, campaign_id).await?;
        let refunds = batches::refunds(executor, campaign_id).await?;
        let (due_count, due_minor) = batches::due(executor, campaign_id).await?;
        Ok(Self {
            campaign_id,
            state: batch.map(|batch| batch.state),
            cause: batch.map(|batch| batch.cause),
            approval_from,
            due_count,
            due_minor,
            planned_count: batch.and_then(|batch| batch.planned_count),
            planned_minor: batch.and_then(|batch| batch.planned_minor),
            payments: payments.into_iter().map(SumView::from).collect(),
            refunds: refunds.into_iter().map(SumView::from).collect(),
            started_by: batch.and_then(|batch| batch.started_by),
            approved_by: batch.and_then(|batch| batch.approved_by),
            created_at: batch.map(|batch| batch.created_at),
            updated_at: batch.map(|batch| batch.updated_at),
        })
    }
}
