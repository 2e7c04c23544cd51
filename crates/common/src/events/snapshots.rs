//! Payments as they stand, for a service that builds its picture of them anew: topics forget, their owner does not.

use serde::{Deserialize, Serialize};

use super::PaymentEvent;
use crate::ids::PaymentId;

/// A page of the payment service's `GET /internal/payments`, in the order of the payments' ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentSnapshots {
    /// Each as its newest event tells of it, except for `previous` and `implied`, which belong to a move.
    pub payments: Vec<PaymentEvent>,
    /// After which payment the next page begins; none when this is the last.
    pub next: Option<PaymentId>,
}
