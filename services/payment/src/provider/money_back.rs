//! Refunds and disputes at the provider.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use serde::{Deserialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Failure, Stripe};
use crate::domain::{
    Cause, DisputeStatus, Frozen, Movement, RefundStatus, SeenDispute, SeenRefund, is_reference,
};

/// How many objects one page holds.
const PAGE: usize = 100;
/// How many pages of one intent's objects are read at most.
const PAGES: usize = 10;
/// The reasons of what the provider calls a refund and is none: a hold that was released, in whole or in part.
const RELEASES: [&str; 3] = [
    "expired_uncaptured_charge",
    "partial_capture",
    "partial_capture_reversal",
];

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
    #[serde(default)]
    has_more: bool,
}

trait Object: DeserializeOwned {
    fn id(&self) -> &str;
}

/// A refund, as the provider words it.
#[derive(Deserialize)]
pub(crate) struct WireRefund {
    id: String,
    amount: i64,
    status: String,
    reason: Option<String>,
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    refund_id: Option<String>,
    payment_id: Option<String>,
    cause: Option<String>,
}

/// A dispute, as the provider words it.
#[derive(Deserialize)]
pub(crate) struct WireDispute {
    id: String,
    amount: i64,
    reason: String,
    status: String,
    created: i64,
    evidence_details: Option<EvidenceDetails>,
    #[serde(default)]
    balance_transactions: Vec<WireMovement>,
}

#[derive(Deserialize)]
struct EvidenceDetails {
    due_by: Option<i64>,
    #[serde(default)]
    submission_count: i32,
}

#[derive(Deserialize)]
struct WireMovement {
    id: String,
    amount: i64,
    #[serde(default)]
    fee: i64,
}

impl Object for WireRefund {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Object for WireDispute {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// Gives money back. Repeated with the same frozen call it answers with the same refund, for a day.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn refund(&self, call: &Frozen) -> Result<(), Failure> {
        let made: WireRefund = self.post("refund", "/v1/refunds", call).await?;
        tracing::debug!(psp.refund = made.id, "the provider made a refund");
        Ok(())
    }

    /// An intent's refunds, the oldest first.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn refunds(&self, intent: &str) -> Result<Vec<SeenRefund>, Failure> {
        let all: Vec<WireRefund> = self.list("refunds", "/v1/refunds", intent).await?;
        let kept = all.into_iter().filter(|refund| {
            let release = |reason: &str| RELEASES.contains(&reason);
            !refund.reason.as_deref().is_some_and(release)
        });
        kept.map(SeenRefund::try_from).collect()
    }

    /// An intent's disputes, the oldest first.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn disputes(&self, intent: &str) -> Result<Vec<SeenDispute>, Failure> {
        let all: Vec<WireDispute> = self.list("disputes", "/v1/disputes", intent).await?;
        all.into_iter().map(SeenDispute::try_from).collect()
    }

    /// Gives in to a dispute.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn accept(&self, dispute: &str) -> Result<(), Failure> {
        let call = Frozen {
            key: format!("accept:{dispute}"),
            request: Vec::new(),
        };
        let path = format!("/v1/disputes/{dispute}/close");
        self.post::<WireDispute>("accept", &path, &call).await?;
        Ok(())
    }

    /// Answers a dispute.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn submit(&self, dispute: &str, call: &Frozen) -> Result<(), Failure> {
        let path = format!("/v1/disputes/{dispute}");
        self.post::<WireDispute>("evidence", &path, call).await?;
        Ok(())
    }

    /// All of an intent's objects, the oldest first.
    async fn list<T: Object>(
        &self,
        name: &str,
        path: &str,
        intent: &str,
    ) -> Result<Vec<T>, Failure> {
        let limit = PAGE.to_string();
        let mut all: Vec<T> = Vec::new();
        for _ in 0..PAGES {
            let mut query = vec![("payment_intent", intent), ("limit", limit.as_str())];
            query.extend(all.last().map(|last| ("starting_after", last.id())));
            let page: List<T> = self.get(name, path, &query).await?;
            let more = page.has_more && !page.data.is_empty();
            all.extend(page.data);
            if !more {
                all.reverse();
                return Ok(all);
            }
        }
        Err(Failure::Unknown("the list has no end".to_owned()))
    }
}

impl TryFrom<WireRefund> for SeenRefund {
    type Error = Failure;

    fn try_from(wire: WireRefund) -> Result<Self, Failure> {
        let status = RefundStatus::parse(&wire.status);
        let id = |named: Option<String>| named.and_then(|id| Uuid::parse_str(&id).ok());
        let named = wire.metadata;
        Ok(Self {
            refund_id: id(named.refund_id),
            payment_id: id(named.payment_id).map(PaymentId::from),
            cause: named.cause.as_deref().and_then(Cause::parse),
            amount: wire.amount,
            status: status.ok_or_else(|| unreadable("a refund's status"))?,
            failure: wire.failure_reason,
            id: reference(wire.id)?,
        })
    }
}

impl TryFrom<WireDispute> for SeenDispute {
    type Error = Failure;

    fn try_from(wire: WireDispute) -> Result<Self, Failure> {
        let status = DisputeStatus::parse(&wire.status);
        let details = wire.evidence_details.as_ref();
        let movements = wire.balance_transactions.into_iter();
        let movements = movements.map(|moved| {
            Ok(Movement {
                id: reference(moved.id)?,
                amount: moved.amount,
                fee: moved.fee,
            })
        });
        Ok(Self {
            amount: wire.amount,
            reason: wire.reason,
            status: status.ok_or_else(|| unreadable("a dispute's status"))?,
            evidence_due: details
                .and_then(|details| details.due_by)
                .and_then(|at| DateTime::from_timestamp(at, 0)),
            submissions: details.map_or(0, |details| details.submission_count),
            movements: movements.collect::<Result<_, Failure>>()?,
            opened_at: DateTime::from_timestamp(wire.created, 0)
                .unwrap_or(DateTime::<Utc>::MIN_UTC),
            id: reference(wire.id)?,
        })
    }
}

fn reference(id: String) -> Result<String, Failure> {
    if is_reference(&id) {
        Ok(id)
    } else {
        Err(unreadable("an id"))
    }
}

fn unreadable(what: &str) -> Failure {
    Failure::Unknown(format!("the reply holds {what} that we do not understand"))
}
