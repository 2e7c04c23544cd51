//! What must not be, shown to the operators.

use std::sync::LazyLock;

use chassis::telemetry::metrics;
use prometheus::{GaugeVec, IntCounterVec};

use crate::{
    domain::Totals,
    drift::{CampaignDrift, PaymentDrift},
};

static NEGATIVE: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "totals_negative_bucket",
        "Changes after which a bucket of a campaign was below zero, which must not be.",
        &["bucket"],
    )
});
static DRIFT: LazyLock<GaugeVec> = LazyLock::new(|| {
    metrics::gauge(
        "totals_drift",
        "Payments that the totals contain otherwise than payment has them, and campaigns that are not the sum of theirs.",
        &["of"],
    )
});
static FROZEN: LazyLock<GaugeVec> = LazyLock::new(|| {
    metrics::gauge(
        "totals_frozen",
        "Campaigns whose amounts stand still, because a bucket fell below zero, until they are built anew.",
        &[],
    )
});

/// Shows a bucket below zero instead of hiding it behind a zero.
pub(crate) fn negative(totals: &Totals) {
    for bucket in totals.buckets.negative() {
        NEGATIVE.with_label_values(&[bucket]).inc();
        tracing::error!(
            campaign.id = %totals.campaign_id,
            version = totals.version,
            bucket,
            "a bucket of the totals is negative"
        );
    }
}

/// A payment is contained otherwise than payment has it.
pub(crate) fn payment_drifts(drift: &PaymentDrift) {
    tracing::error!(
        payment.id = %drift.payment_id,
        campaign.id = %drift.campaign_id,
        difference = drift.difference.as_str(),
        "the totals contain a payment otherwise than payment has it"
    );
}

/// A campaign is not the sum of its payments.
pub(crate) fn campaign_drifts(drift: &CampaignDrift) {
    tracing::error!(
        campaign.id = %drift.campaign_id,
        "the totals of a campaign are not the sum of its payments"
    );
}

/// How many payments and campaigns drift, and how many campaigns are frozen.
#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^52 one more matters little"
)]
pub(crate) fn count(payments: usize, campaigns: usize, frozen: usize) {
    DRIFT.with_label_values(&["payments"]).set(payments as f64);
    DRIFT
        .with_label_values(&["campaigns"])
        .set(campaigns as f64);
    FROZEN.with_label_values::<&str>(&[]).set(frozen as f64);
}
