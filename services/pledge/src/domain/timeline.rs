//! The story of a pledge's money, as its donor reads it. Pure.
//!
//! Payments tell amounts so far. What a step moved is the difference to the step before it of the same payment, taken
//! when the story is told: a snapshot that comes late puts itself right.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::{
    events::{PaymentEvent, PaymentKind},
    ids::PaymentId,
    money::Money,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Pledge;

/// Something that happened to a payment, with the amounts of the whole charge so far, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Which snapshot of it.
    pub version: i64,
    /// Which try of the pledge.
    pub attempt: i32,
    /// What happened.
    pub kind: PaymentKind,
    /// Held or taken.
    pub held: i64,
    /// Taken.
    pub captured: i64,
    /// Given back.
    pub refunded: i64,
    /// Lost in disputes.
    pub disputed: i64,
    /// The provider's code, where a try was declined.
    pub failure: Option<String>,
    /// The trace in which it happened.
    pub trace_id: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Happening {
    /// What a donor reads of a snapshot; nothing of the one that opens the first try, for the promise itself says that.
    pub fn of(event: &PaymentEvent, traceparent: Option<&str>) -> Option<Self> {
        if event.kind == PaymentKind::Created && event.attempt == 1 {
            return None;
        }
        Step::of(event.kind)?;
        Some(Self {
            payment_id: event.payment_id,
            version: event.version,
            attempt: event.attempt,
            kind: event.kind,
            held: event.authorized,
            captured: event.captured,
            refunded: event.refunded,
            disputed: event.disputed,
            failure: event.failure.as_ref().map(|failure| failure.code.clone()),
            trace_id: traceparent
                .and_then(common::trace::id_of)
                .map(str::to_owned),
            at: event.occurred_at,
        })
    }
}

/// What happened, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The donor promised the gift.
    Promised,
    /// The donor asked to call it off.
    CancelRequested,
    /// A further try to pay began.
    TriedAgain,
    /// The donor's bank declined; it can still be paid.
    Declined,
    /// The bank holds the money.
    Held,
    /// The money is taken.
    Captured,
    /// The money was taken after the payment had ended.
    LateCaptured,
    /// The money has arrived.
    Settled,
    /// The money is on its way to the platform's bank account.
    PaidOut,
    /// It can never be paid.
    Failed,
    /// Nobody paid in time.
    Expired,
    /// Called off.
    Cancelled,
    /// A part of the money went back.
    PartlyRefunded,
    /// All of the money went back.
    Refunded,
    /// Money that went back could not be paid out, and is with the platform again.
    RefundFailed,
    /// The donor's bank took the money back for good.
    DisputeLost,
    /// The donor's bank returned what it had taken back.
    DisputeReversed,
}

impl Step {
    /// What a payment's news is to its donor, if anything.
    const fn of(kind: PaymentKind) -> Option<Self> {
        Some(match kind {
            PaymentKind::Created => Self::TriedAgain,
            PaymentKind::AttemptFailed => Self::Declined,
            PaymentKind::Authorized => Self::Held,
            PaymentKind::Captured => Self::Captured,
            PaymentKind::LateCaptured => Self::LateCaptured,
            PaymentKind::Completed => Self::Settled,
            PaymentKind::PaidOut => Self::PaidOut,
            PaymentKind::Failed => Self::Failed,
            PaymentKind::Expired => Self::Expired,
            PaymentKind::Cancelled => Self::Cancelled,
            PaymentKind::PartlyRefunded => Self::PartlyRefunded,
            PaymentKind::Refunded => Self::Refunded,
            PaymentKind::RefundFailed => Self::RefundFailed,
            PaymentKind::DisputeLost => Self::DisputeLost,
            PaymentKind::DisputeReversed => Self::DisputeReversed,
            PaymentKind::Restated => return None,
        })
    }
}

/// One step of the story.
#[derive(Serialize, ToSchema)]
pub struct Told {
    /// What happened.
    pub step: Step,
    /// When.
    pub at: DateTime<Utc>,
    /// What it moved of the whole charge, where it moved money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The payment that it happened to.
    pub payment_id: PaymentId,
    /// Which try of the pledge that is, from 1.
    pub attempt: i32,
    /// The provider's code, where a try was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What to ask the operators about.
    pub trace_id: Option<String>,
}

/// How far the money has come, and when it came there; null where it has not.
#[derive(Serialize, ToSchema)]
pub struct Stages {
    /// The donor's bank holds it.
    pub authorised: Option<DateTime<Utc>>,
    /// It is taken.
    pub captured: Option<DateTime<Utc>>,
    /// It is at the platform's disposal.
    pub settled: Option<DateTime<Utc>>,
    /// The provider has sent it on its way to the platform's bank account.
    pub paid_out: Option<DateTime<Utc>>,
}

/// The story of a pledge's money.
#[derive(Serialize, ToSchema)]
pub struct Timeline {
    /// How far it has come.
    pub stages: Stages,
    /// Every step, earliest first.
    pub steps: Vec<Told>,
}

impl Timeline {
    /// Tells what happened to a pledge; `happened` is in the order of each payment's versions, `traces` are those of the
    /// promise and of the wish to call it off, and `shown` is the try that the pledge shows.
    pub fn of(
        pledge: &Pledge,
        traces: (Option<String>, Option<String>),
        shown: i32,
        happened: Vec<Happening>,
    ) -> Self {
        let own = |step, at, trace_id| Told {
            step,
            at,
            amount: None,
            payment_id: pledge.payment_id(),
            attempt: 1,
            failure: None,
            trace_id,
        };
        let mut steps = vec![own(Step::Promised, pledge.created_at, traces.0)];
        steps.extend(
            pledge
                .cancel_requested_at
                .map(|at| own(Step::CancelRequested, at, traces.1)),
        );
        let mut before: HashMap<PaymentId, (i64, i64)> = HashMap::new();
        for happening in happened {
            let Some(step) = Step::of(happening.kind) else {
                continue;
            };
            let (refunded, disputed) = before
                .insert(
                    happening.payment_id,
                    (happening.refunded, happening.disputed),
                )
                .unwrap_or_default();
            let moved = moved(&happening, refunded, disputed);
            steps.push(Told {
                step,
                at: happening.at,
                amount: moved.map(|minor| Money::new(minor, pledge.amount.currency)),
                payment_id: happening.payment_id,
                attempt: happening.attempt,
                failure: happening.failure,
                trace_id: happening.trace_id,
            });
        }
        // Steps of one moment stay in the order of their versions: the sort is stable.
        steps.sort_by_key(|step| step.at);
        Self {
            stages: Stages::of(&steps, shown),
            steps,
        }
    }
}

/// What a step moved, given what had gone back and been lost before it.
fn moved(happening: &Happening, refunded: i64, disputed: i64) -> Option<i64> {
    match happening.kind {
        PaymentKind::Authorized => Some(happening.held),
        PaymentKind::Captured
        | PaymentKind::LateCaptured
        | PaymentKind::Completed
        | PaymentKind::PaidOut => Some(happening.captured),
        PaymentKind::PartlyRefunded | PaymentKind::Refunded => Some(happening.refunded - refunded),
        PaymentKind::RefundFailed => Some(refunded - happening.refunded),
        PaymentKind::DisputeLost => Some(happening.disputed - disputed),
        PaymentKind::DisputeReversed => Some(disputed - happening.disputed),
        PaymentKind::Created
        | PaymentKind::AttemptFailed
        | PaymentKind::Failed
        | PaymentKind::Expired
        | PaymentKind::Cancelled
        | PaymentKind::Restated => None,
    }
}

impl Stages {
    /// Money that is taken was held, and money that has arrived was taken, whether or not a step of its own said so. What
    /// other tries came to is no stage of this gift.
    fn of(steps: &[Told], shown: i32) -> Self {
        let first = |reached: &[Step]| {
            let mut of_shown = steps.iter().filter(|told| told.attempt == shown);
            let step = of_shown.find(|told| reached.contains(&told.step));
            step.map(|told| told.at)
        };
        let (paid_out, settled) = ([Step::PaidOut], [Step::Settled]);
        let captured = [Step::Captured, Step::LateCaptured];
        Self {
            authorised: first(&[[Step::Held].as_slice(), &captured, &settled].concat()),
            captured: first(&[captured.as_slice(), &settled].concat()),
            settled: first(&settled),
            paid_out: first(&paid_out),
        }
    }
}
