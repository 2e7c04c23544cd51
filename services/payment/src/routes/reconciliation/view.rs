//! A run as admins see it.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::db::{
    payouts::Kept,
    runs::{Run, Stored},
};

/// A run that matches the provider's account with the books.
#[derive(Serialize, ToSchema)]
pub struct ReconciliationRun {
    id: Uuid,
    /// `QUEUED`, `RUNNING`, `DONE` or `FAILED`.
    state: String,
    /// `daily`, or `admin`.
    cause: String,
    /// Of what time it looks at payouts and settlements.
    from: DateTime<Utc>,
    /// The first moment after that.
    until: DateTime<Utc>,
    /// How many settlements were found as they should be, and for the first time.
    matched: i64,
    /// How many the books do not have.
    missing_local: i64,
    /// How many the provider does not have.
    missing_psp: i64,
    /// How many differ.
    amount_diff: i64,
    /// The first differences, once it is done.
    differences: Vec<ReconciliationDifference>,
    /// The first payouts that were made in its time, as far as they are known.
    payouts: Vec<MatchedPayout>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

/// A difference between the provider's account and the books.
#[derive(Serialize, ToSchema)]
pub struct ReconciliationDifference {
    /// The provider's balance transaction.
    #[schema(example = "txn_1MiN3gLkdIwHu7ixxapQrznl")]
    subject: String,
    /// `MISSING_LOCAL`, `MISSING_PSP` or `AMOUNT_DIFF`.
    kind: String,
    payment_id: Option<PaymentId>,
    currency: Option<String>,
    /// What the provider has, net, in minor units.
    psp_minor: Option<i64>,
    /// What the books have, net, in minor units.
    local_minor: Option<i64>,
}

/// A payout, and how much of it is in the books.
#[derive(Serialize, ToSchema)]
pub struct MatchedPayout {
    /// The provider's payout.
    #[schema(example = "po_1OaFDbEcg9tTZuTgNYmX0PKB")]
    id: String,
    currency: String,
    /// In minor units.
    amount_minor: i64,
    /// Where it stood when it was looked at last.
    status: String,
    arrives_at: DateTime<Utc>,
    /// Of how many entries of the provider's account it is made, its own among them.
    entries: i64,
    /// How many of them are in the books as they should be.
    matched: i64,
}

impl From<Kept> for MatchedPayout {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.payout,
            currency: kept.currency.to_uppercase(),
            amount_minor: kept.amount_minor,
            status: kept.status,
            arrives_at: kept.arrives_at,
            entries: kept.entries,
            matched: kept.matched,
        }
    }
}

impl ReconciliationRun {
    /// A run with its differences, and the payouts of its time.
    pub fn of(run: Run, differences: Vec<Stored>, payouts: Vec<Kept>) -> Self {
        Self {
            id: run.id,
            state: run.state,
            cause: run.cause,
            from: run.from_time,
            until: run.until_time,
            matched: run.matched,
            missing_local: run.missing_local,
            missing_psp: run.missing_psp,
            amount_diff: run.amount_diff,
            differences: differences.into_iter().map(Into::into).collect(),
            payouts: payouts.into_iter().map(Into::into).collect(),
            created_at: run.created_at,
            finished_at: run.finished_at,
        }
    }
}

impl From<Stored> for ReconciliationDifference {
    fn from(stored: Stored) -> Self {
        Self {
            subject: stored.subject,
            kind: stored.kind,
            payment_id: stored.payment_id.map(PaymentId::from),
            currency: stored.currency,
            psp_minor: stored.psp_minor,
            local_minor: stored.local_minor,
        }
    }
}
