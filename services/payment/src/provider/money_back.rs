//! Refunds and disputes at the provider.

use chrono::{DateTime, Utc};
use common::ids::PaymentId;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Failure, Stripe};
use crate::domain::{
    Cause, DisputeStatus, Frozen, Movement, RefundStatus, SeenDispute, SeenRefund, Unread,
    is_reference,
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

/// What is kept as it is listed, until each is read by itself: one that is not understood must not hide the others.
#[derive(Deserialize)]
struct List {
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// What is understood of a list, the oldest first, and what is not.
pub type Understood<T> = (Vec<T>, Vec<Unread>);

/// A refund, as the provider words it.
#[derive(Deserialize)]
struct WireRefund {
    id: String,
    amount: i64,
    status: Option<String>,
    reason: Option<String>,
    failure_reason: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    refund_id: Option<String>,
    payment_id: Option<String>,
    cause: Option<String>,
}

/// A dispute, as the provider words it.
#[derive(Deserialize)]
struct WireDispute {
    id: String,
    amount: i64,
    currency: String,
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
    currency: String,
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

    /// An intent's refunds, the oldest first, and those that we cannot read.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn refunds(&self, intent: &str) -> Result<Understood<SeenRefund>, Failure> {
        let all = self.list("refunds", "/v1/refunds", intent).await?;
        let refund = |wire: WireRefund| {
            let release = |reason: &str| RELEASES.contains(&reason);
            let is_none = wire.reason.as_deref().is_some_and(release);
            (!is_none).then(|| wire.seen()).transpose()
        };
        Ok(understand(
            all,
            "a refund that we do not understand",
            refund,
        ))
    }

    /// An intent's disputes, the oldest first, and those that we cannot read.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn disputes(&self, intent: &str) -> Result<Understood<SeenDispute>, Failure> {
        let all = self.list("disputes", "/v1/disputes", intent).await?;
        let dispute = |wire: WireDispute| wire.seen().map(Some);
        Ok(understand(
            all,
            "a dispute that we do not understand",
            dispute,
        ))
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

    /// All of an intent's objects with their ids, the oldest first.
    async fn list(
        &self,
        name: &str,
        path: &str,
        intent: &str,
    ) -> Result<Vec<(String, Box<RawValue>)>, Failure> {
        let limit = PAGE.to_string();
        let mut all: Vec<(String, Box<RawValue>)> = Vec::new();
        for _ in 0..PAGES {
            let mut query = vec![("payment_intent", intent), ("limit", limit.as_str())];
            query.extend(all.last().map(|(id, _)| ("starting_after", id.as_str())));
            let page: List = self.get(name, path, &query).await?;
            let more = page.has_more && !page.data.is_empty();
            for object in page.data {
                let named = serde_json::from_str::<Named>(object.get()).ok();
                let named = named.filter(|named| is_reference(&named.id));
                let named = named
                    .ok_or_else(|| Failure::Unknown("the list holds what has no id".to_owned()))?;
                all.push((named.id, object));
            }
            if !more {
                all.reverse();
                return Ok(all);
            }
        }
        Err(Failure::Unknown("the list has no end".to_owned()))
    }
}

/// Reads each object by itself. What is read and of no account is none.
fn understand<W: DeserializeOwned, T>(
    all: Vec<(String, Box<RawValue>)>,
    otherwise: &'static str,
    read: impl Fn(W) -> Result<Option<T>, &'static str>,
) -> Understood<T> {
    let (mut understood, mut unread) = (Vec::with_capacity(all.len()), Vec::new());
    for (id, object) in all {
        let wire = serde_json::from_str::<W>(object.get()).map_err(|_| otherwise);
        match wire.and_then(&read) {
            Ok(seen) => understood.extend(seen),
            Err(what) => unread.push(Unread { id, what }),
        }
    }
    (understood, unread)
}

impl WireRefund {
    fn seen(self) -> Result<SeenRefund, &'static str> {
        let status = self.status.as_deref().and_then(RefundStatus::parse);
        let id = |named: Option<String>| named.and_then(|id| Uuid::parse_str(&id).ok());
        let named = self.metadata.unwrap_or_default();
        Ok(SeenRefund {
            refund_id: id(named.refund_id),
            payment_id: id(named.payment_id).map(PaymentId::from),
            cause: named.cause.as_deref().and_then(Cause::parse),
            amount: self.amount,
            status: status.ok_or("a refund with a status that we do not know")?,
            failure: self.failure_reason,
            id: self.id,
        })
    }
}

impl WireDispute {
    fn seen(self) -> Result<SeenDispute, &'static str> {
        let status = DisputeStatus::parse(&self.status);
        let details = self.evidence_details.as_ref();
        let movements = self.balance_transactions.into_iter().map(|moved| {
            if !is_reference(&moved.id) {
                return Err("a dispute whose movement has no id");
            }
            Ok(Movement {
                id: moved.id,
                amount: moved.amount,
                fee: moved.fee,
                currency: moved.currency,
            })
        });
        Ok(SeenDispute {
            amount: self.amount,
            currency: self.currency,
            reason: self.reason,
            status: status.ok_or("a dispute with a status that we do not know")?,
            evidence_due: details
                .and_then(|details| details.due_by)
                .and_then(|at| DateTime::from_timestamp(at, 0)),
            submissions: details.map_or(0, |details| details.submission_count),
            movements: movements.collect::<Result<_, _>>()?,
            opened_at: DateTime::from_timestamp(self.created, 0)
                .unwrap_or(DateTime::<Utc>::MIN_UTC),
            id: self.id,
        })
    }
}
