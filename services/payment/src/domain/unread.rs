//! What the provider lists and we do not understand. Pure.

use super::{Exception, Kind, Payment};

/// A refund or a dispute that is not understood, such as one with a status of tomorrow. The others count without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The provider's id of it.
    pub id: String,
    /// What is not understood.
    pub what: &'static str,
}

impl Unread {
    pub(super) fn matter(&self, payment: &Payment) -> Exception {
        Exception {
            kind: Kind::Quarantined,
            subject: self.id.clone(),
            payment_id: Some(payment.payment_id),
            amount: None,
            detail: format!("the provider lists {}", self.what),
            due_at: None,
        }
    }
}
