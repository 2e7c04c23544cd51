//! Money on its way back to a donor. Pure.

use chrono::{DateTime, Utc};
use common::{
    ids::{PaymentId, UserId},
    money::Money,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Frozen, Outcome, Payment};

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = RefundStatus)]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// The donor must do something before it arrives.
    RequiresAction,
    /// It went out; it may still come back, even after weeks.
    Succeeded,
    /// It did not arrive: the money is here.
    Failed,
    /// It was called off: the money is here.
    Canceled,
}

impl RefundStatus {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::RequiresAction,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
    ];

    /// The spelling in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::RequiresAction => "REQUIRES_ACTION",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }

    /// Reads the spelling in SQL, or the provider's, which is the same in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether its amount is spoken for: no other refund may have it.
    pub const fn reserves(self) -> bool {
        !matches!(self, Self::Failed | Self::Canceled)
    }

    /// Whether it is still on its way.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::RequiresAction)
    }

    /// Whether it can still become `next`: an answer from before, read late, moves nothing back.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending | Self::RequiresAction => next != self,
            Self::Succeeded => next == Self::Failed,
            Self::Failed | Self::Canceled => false,
        }
    }
}

/// Why there is a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = RefundCause)]
pub enum Cause {
    /// An admin asked for it.
    Admin,
    /// The campaign's organiser asked for it.
    Organiser,
    /// Its campaign was called off.
    Standing,
    /// The money was taken when nobody wanted it any more.
    LateCapture,
    /// It was made in the provider's own tools.
    Imported,
}

impl Cause {
    const ALL: [Self; 5] = [
        Self::Admin,
        Self::Organiser,
        Self::Standing,
        Self::LateCapture,
        Self::Imported,
    ];

    /// The spelling in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::Organiser => "ORGANISER",
            Self::Standing => "STANDING",
            Self::LateCapture => "LATE_CAPTURE",
            Self::Imported => "IMPORTED",
        }
    }

    /// Reads the spelling in SQL.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text)
    }
}

/// A refund of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// That of the wish; it travels in the metadata of the refund at the provider. Uuid v7 where it was made in the
    /// provider's own tools.
    pub refund_id: Uuid,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// Why, in the words of whoever asked.
    pub reason: Option<String>,
    /// Why there is one at all.
    pub cause: Cause,
    /// Where it stands.
    pub status: RefundStatus,
    /// The provider's reason, where it failed.
    pub failure: Option<String>,
    /// The refund at the provider, once it is known.
    pub psp_refund: Option<String>,
    /// The call that makes it; none for one that was made in the provider's own tools.
    pub call: Option<Frozen>,
    /// What is known about that call.
    pub outcome: Outcome,
    /// When it was first made.
    pub requested_at: Option<DateTime<Utc>>,
    /// How often it was looked after.
    pub tries: i32,
    /// The account behind it.
    pub requested_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
}

/// Who wants money back, how much, and why.
#[derive(Clone, Debug)]
pub struct Wish {
    /// A function of what asks, so that the same wish makes the same refund, whatever was forgotten in between.
    pub refund_id: Uuid,
    /// In minor units; all that is left by default.
    pub amount: Option<i64>,
    /// In their words.
    pub reason: Option<String>,
    /// By which right.
    pub cause: Cause,
    /// Which account.
    pub by: Option<UserId>,
}

impl Wish {
    /// The id of the refund that a request makes, by the scope of its idempotency key.
    pub fn id_of_request(payment: PaymentId, scope: [u8; 32]) -> Uuid {
        Uuid::new_v5(&payment.get(), &scope)
    }

    /// The wish of a rule, which gives back all that is left of a payment, once.
    pub fn of_rule(payment: PaymentId, cause: Cause, reason: &str) -> Self {
        Self {
            refund_id: Uuid::new_v5(&payment.get(), cause.as_str().as_bytes()),
            amount: None,
            reason: Some(reason.to_owned()),
            cause,
            by: None,
        }
    }
}

impl Refund {
    /// A refund about to be asked for, with the call that does it. The call is a function of the refund's facts alone.
    pub fn new(
        payment: &Payment,
        intent: &str,
        minor: i64,
        wish: Wish,
        now: DateTime<Utc>,
    ) -> Self {
        let refund_id = wish.refund_id;
        let request = serde_urlencoded::to_string([
            ("payment_intent", intent),
            ("amount", &minor.to_string()),
            ("reason", "requested_by_customer"),
            ("metadata[refund_id]", &refund_id.to_string()),
            ("metadata[payment_id]", &payment.payment_id.to_string()),
            ("metadata[cause]", wish.cause.as_str()),
        ])
        .unwrap_or_else(|_| unreachable!("pairs of text always make a form"));
        Self {
            refund_id,
            payment_id: payment.payment_id,
            amount: Money::new(minor, payment.amount.currency),
            reason: wish.reason,
            cause: wish.cause,
            status: RefundStatus::Pending,
            failure: None,
            psp_refund: None,
            call: Some(Frozen {
                key: format!("refund:{refund_id}"),
                request: request.into_bytes(),
            }),
            outcome: Outcome::Requested,
            requested_at: Some(now),
            tries: 0,
            requested_by: wish.by,
            created_at: now,
            updated_at: now,
        }
    }
}

/// A refund as the provider tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRefund {
    /// Its id there.
    pub id: String,
    /// The refund that we named when we asked for it.
    pub refund_id: Option<Uuid>,
    /// The payment that we named beside it.
    pub payment_id: Option<PaymentId>,
    /// The cause that we named beside it.
    pub cause: Option<Cause>,
    /// In minor units.
    pub amount: i64,
    /// Where it stands.
    pub status: RefundStatus,
    /// Why it failed.
    pub failure: Option<String>,
}
