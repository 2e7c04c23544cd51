//! An event of the provider's on its way through the court.

use std::sync::LazyLock;

use chassis::telemetry::metrics;
use chrono::{DateTime, Utc};
use common::ids::{PaymentId, UserId};
use prometheus::IntCounterVec;

use crate::{
    alarm,
    domain::{Diff, Notice, Verdict},
};

static VERDICTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "webhook_verdicts_total",
        "Verified deliveries by verdict.",
        &["verdict"],
    )
});

/// An event on its way to its verdict.
pub struct Delivery {
    /// What it says.
    pub notice: Notice,
    /// Its raw bytes, sealed.
    pub body: Vec<u8>,
    /// Its signature header; empty where it was read from the provider's list.
    pub signature: String,
    /// What else came with it and is harmless, as JSON.
    pub headers: Option<String>,
    /// The trace of the request that delivered it.
    pub trace_id: Option<String>,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// How it came.
    pub source: Source,
}

/// How an event came to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The provider delivered it.
    Delivered,
    /// It was read from the provider's list.
    Swept,
    /// It is judged again, because its payment may be known by now.
    Parked,
    /// It is judged again, because this admin wants it.
    Replayed(UserId),
}

impl Source {
    /// Whether the event is kept already, and its verdicts are added to.
    pub const fn is_again(self) -> bool {
        matches!(self, Self::Parked | Self::Replayed(_))
    }

    /// The spelling in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Swept => "swept",
            Self::Parked => "payment known",
            Self::Replayed(_) => "replay",
        }
    }
}

/// What became of an event.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, where the verdict does not say it all.
    pub detail: Option<&'static str>,
    /// The payment that it concerns.
    pub payment_id: Option<PaymentId>,
    /// What it changed.
    pub diff: Option<Diff>,
}

impl Judged {
    /// Counts the verdict, and raises its alarm.
    pub fn tell(&self, event_id: &str) {
        let verdict = self.verdict;
        VERDICTS.with_label_values(&[verdict.as_str()]).inc();
        if let Some(kind) = verdict.alarm() {
            tracing::warn!(
                psp.event = event_id,
                verdict = verdict.as_str(),
                "a delivery moved nothing"
            );
            alarm::raise(kind, self.payment_id, self.detail.unwrap_or_default());
        }
    }
}
