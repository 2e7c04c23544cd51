//! What a person must hear about, because no program settles it.

use std::sync::LazyLock;

use chassis::telemetry::metrics;
use common::ids::PaymentId;
use prometheus::IntCounterVec;

static ALARMS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "payment_alarms_total",
        "Findings about payments that a person must look into.",
        &["kind"],
    )
});

/// The provider's reply is about another amount, currency or mode than we asked for.
pub const INTENT_MISMATCH: &str = "intent_mismatch";
/// The provider gave a second intent for one payment.
pub const SECOND_INTENT: &str = "second_intent";
/// The provider does not accept our key or our requests.
pub const PSP_MISCONFIGURED: &str = "psp_misconfigured";
/// A delivery waited in vain for its payment to become known.
pub const UNKNOWN_PAYMENT: &str = "webhook_unknown_payment";
/// The provider took money that nobody asked for.
pub const SUSPENSE: &str = "suspense";

/// A set of ledger entries does not sum to zero, behind the database's back.
pub const LEDGER_IMBALANCE: &str = "ledger_imbalance";

/// Counts from nought what an alert watches: it sees an increase, and there is none to what was never there.
pub fn prepare() {
    for kind in [INTENT_MISMATCH, SECOND_INTENT, PSP_MISCONFIGURED] {
        ALARMS.with_label_values(&[kind]).inc_by(0);
    }
}

/// Raises an alarm: a count that an alert watches, and a line in the log.
pub fn raise(kind: &'static str, payment_id: Option<PaymentId>, detail: &str) {
    ALARMS.with_label_values(&[kind]).inc();
    let payment = payment_id.map(|id| id.to_string());
    tracing::error!(alarm = kind, payment.id = payment, detail, "alarm: {kind}");
}
